//! What ps is told, and what it shows then.

use super::*;
use crate::ports::ProcessEntry;

fn titles(arguments: &str) -> String {
    let columns = parse(arguments).unwrap().columns;
    columns.iter().map(|column| column.title.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn arguments_choose_columns_as_ps_does() {
    for (arguments, expected) in [
        ("", "UID PID PPID C STIME TTY TIME CMD"),
        ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
        ("-e", "PID TTY TIME CMD"),
        ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("ax", "PID TTY STAT TIME COMMAND"),
        ("-o pid,cmd", "PID CMD"),
        ("-eo pid,ppid,comm", "PID PPID COMMAND"),
        ("-opid -o user", "PID USER"),
        ("-o pid,args=WHAT IT IS", ""),
        ("--format pid,rss", "PID RSS"),
        ("-L", "PID LWP TTY TIME CMD"),
        ("-eLf", "UID PID PPID LWP C NLWP STIME TTY TIME CMD"),
        ("-eT", "PID SPID TTY TIME CMD"),
        ("-O user", "PID USER S TTY TIME COMMAND"),
        ("-Z", "LABEL PID TTY TIME CMD"),
        ("-ef --sort -rss --forest", "UID PID PPID C STIME TTY TIME CMD"),
        ("-o pid=PIDS,cmd", ""),
        ("-ec", "PID CLS PRI TTY TIME CMD"),
        ("-efc", "UID PID PPID CLS PRI STIME TTY TIME CMD"),
        ("-elc", "F S UID PID PPID CLS PRI ADDR SZ WCHAN TTY TIME CMD"),
        ("-eLfc", "UID PID PPID LWP NLWP CLS PRI STIME TTY TIME CMD"),
        ("-ely", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD"),
        ("-elyc", "S UID PID PPID CLS PRI RSS SZ WCHAN TTY TIME CMD"),
        ("-FP", "UID PID PPID PSR C SZ RSS STIME TTY TIME CMD"),
        ("-ejP", "PID PGID SID PSR TTY TIME CMD"),
        ("-ef -j", "UID PID PPID PGID SID C STIME TTY TIME CMD"),
        ("auxn", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("axZ", "LABEL PID TTY STAT TIME COMMAND"),
        ("-e --cols 20", "PID TTY TIME CMD"),
        ("-e --no-headers", ""),
        ("axh", ""),
        ("axv", "PID TTY STAT TIME MAJFL TRS DRS RSS %MEM COMMAND"),
        ("s", "UID PID PENDING BLOCKED IGNORED CAUGHT STAT TTY TIME COMMAND"),
        ("axX", "PID STACKP ESP EIP TMOUT ALARM STAT TTY TIME COMMAND"),
        ("X -j", "PID PGID SID STACKP ESP EIP TMOUT ALARM STAT TTY TIME COMMAND"),
        ("-e --context", "PID CONTEXT COMMAND"),
        ("vZ", "LABEL PID TTY STAT TIME MAJFL TRS DRS RSS %MEM COMMAND"),
        ("axe", "PID TTY STAT TIME COMMAND"),
        ("-ef e", "UID PID PPID C STIME TTY STAT TIME CMD"),
        ("-l x", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
        ("-j x", "PID PGID SID TTY STAT TIME COMMAND"),
        ("-c x", "PID CLS PRI TTY STAT TIME COMMAND"),
        ("-FL e", "UID PID PPID LWP C NLWP SZ RSS PSR STIME TTY STAT TIME CMD"),
        ("-fLj", "UID PID PPID PGID SID LWP C NLWP STIME TTY TIME CMD"),
        ("-Lj", "PID PGID SID LWP TTY TIME CMD"),
        ("-lT", "F S UID PID SPID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
        ("u -L", "USER PID LWP %CPU NLWP %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("v -T", "PID SPID TTY STAT TIME MAJFL TRS DRS RSS %MEM COMMAND"),
        ("j -L", "PPID PID PGID SID LWP TTY TPGID STAT UID TIME COMMAND"),
        ("l -L -c", "F UID PID PPID LWP CLS PRI VSZ RSS WCHAN STAT TTY TIME COMMAND"),
        ("L", ""),
    ] {
        if expected.is_empty() {
            assert!(parse(arguments).is_err(), "{arguments}");
        } else {
            assert_eq!(titles(arguments), expected, "{arguments}");
        }
    }
}

#[test]
fn the_order_and_the_tree_are_chosen_as_ps_does() {
    let key = |key: &str, descending| Key { key: key.to_owned(), descending };
    for arguments in ["aux --sort=-rss,pid", "aux --sort -rss,+pid", "auxk-rss,pid"] {
        let order = parse(arguments).unwrap().order;
        assert_eq!(order, [key("rss", true), key("pid", false)], "{arguments}");
    }
    for (arguments, tree) in [
        ("-ef", Tree::None),
        ("-eH", Tree::Order),
        ("axf", Tree::Drawn),
        ("-ef --forest", Tree::Drawn),
    ] {
        assert_eq!(parse(arguments).unwrap().tree, tree, "{arguments}");
    }
    assert_eq!(parse("axH").unwrap().of, Listed::Threads);
    assert_eq!(parse("-ef").unwrap().of, Listed::Processes);
}

#[test]
fn what_is_in_the_columns_is_chosen_as_ps_does() {
    let keys = |arguments: &str| {
        let columns = parse(arguments).unwrap().columns;
        columns.into_iter().map(|column| column.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("auxn")[0], "euid");
    assert_eq!(keys("auxc").last().unwrap(), "comm");
    assert_eq!(keys("o pid,args c").last().unwrap(), "comm");
    for (arguments, environment) in [("auxe", true), ("-ef e", true), ("-e", false)] {
        assert_eq!(parse(arguments).unwrap().environment, environment, "{arguments}");
    }
    assert!(parse("axS").unwrap().cumulative && parse("-e --cumulative").unwrap().cumulative);
    for arguments in ["-em", "axm", "-eLm"] {
        let asked = parse(arguments).unwrap();
        assert!(asked.with_threads && asked.of == Listed::Processes, "{arguments}");
    }
}

#[test]
fn processes_are_chosen_as_ps_does() {
    let entry = |pid, name: &str| ProcessEntry {
        pid,
        name: name.to_owned(),
        state: 'S',
        ..ProcessEntry::default()
    };
    let mut table = [entry(5, "sh"), entry(6, "sleep")];
    (table[0].terminal, table[1].terminal) = ("?".into(), "pts/0".into());
    for (arguments, expected) in [
        ("-ef", &[5, 6][..]),
        ("-p 6", &[6]),
        ("-p6 -f", &[6]),
        ("--pid=5", &[5]),
        ("p 5", &[5]),
        ("-C sleep -o pid,args", &[6]),
        ("-u root", &[5, 6]),
        ("-u 1000", &[]),
        ("-N -p 5", &[6]),
        ("--deselect --pid 6", &[5]),
        ("axr", &[]),
        ("T", &[5]),
    ] {
        let selection = parse(arguments).unwrap().selection;
        let shown: Vec<i32> =
            table.iter().filter(|it| selection.has(it)).map(|it| it.pid).collect();
        assert_eq!(shown, expected, "{arguments}");
    }
}

#[test]
fn what_cannot_be_shown_is_refused_in_pss_words() {
    for (arguments, text) in [
        ("-o cmd", "Couldn't find PID field in ps output"),
        ("-o pid,nonsense", "unknown user-defined format specifier \"nonsense\""),
        ("-o pid -o uid=PID", "specifying \"uid=PID\" is not allowed"),
        ("-ef --sort=odd", "ps: error: unknown sort specifier"),
        ("-o pid -O user", "option -O can not follow other format options"),
        ("lX", "ps: error: conflicting format options"),
        ("v --context", "ps: error: conflicting format options"),
        ("-o pid u", "ps: error: conflicting format options"),
        ("-e -L -T", "ps: error: thread flags conflict; can't use both -L and -T"),
        ("axHm", "ps: error: thread flags conflict; can't use H with m or -m"),
        ("-fL f", "ps: error: thread display conflicts with forest display"),
        ("axL", "ps: error: the option is exclusive: L"),
        ("axW", "ps: the option axW is not implemented"),
        ("-ef -y", "modifier -y without format -l makes no sense"),
        ("-e --cols x", "ps: error: a number must follow --cols"),
        ("-u nobody-here", "ps: error: user name does not exist"),
    ] {
        let error = parse(arguments).unwrap_err().to_string();
        assert!(error.contains(text), "{arguments}: {error}");
    }
}
