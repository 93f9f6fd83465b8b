//! The few Dockerfile instructions with which an imported image can be described.

use super::expansion::{expand, variable};
use crate::config::{ContainerConfig, HealthConfig};
use crate::error::{Error, Result};

/// Applies instructions in order.
pub(crate) fn apply(config: &mut ContainerConfig, changes: &[String]) -> Result<()> {
    let mut has_command = false;
    changes.iter().try_for_each(|line| apply_one(config, line.trim(), &mut has_command))
}

/// `has_command` tells whether the instructions so far say what to run.
fn apply_one(config: &mut ContainerConfig, line: &str, has_command: &mut bool) -> Result<()> {
    let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let instruction = instruction.to_ascii_uppercase();
    if rest.is_empty() && !line.is_empty() {
        return Err(Error::invalid(format!("{instruction} requires at least one argument")));
    }
    match instruction.as_str() {
        "" => {}
        "CMD" => {
            config.cmd = Some(command(rest)?);
            *has_command = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(rest)?);
            // What was there before was for another program.
            if !*has_command {
                config.cmd = None;
            }
        }
        "ENV" => {
            for (key, value) in pairs(rest, &config.env)? {
                config.env.retain(|known| known.split('=').next() != Some(key.as_str()));
                config.env.push(format!("{key}={value}"));
            }
        }
        "LABEL" => config.labels.extend(pairs(rest, &config.env)?),
        "EXPOSE" => {
            for port in expand(rest, &config.env)?.split_whitespace() {
                let full = if port.contains('/') { port.into() } else { format!("{port}/tcp") };
                config.exposed_ports.insert(full);
            }
        }
        "VOLUME" => {
            let list = if rest.starts_with('[') {
                json_list(rest)?
            } else {
                expand(rest, &config.env)?.split_whitespace().map(String::from).collect()
            };
            config.volumes.extend(list);
        }
        "USER" => config.user = expand(rest, &config.env)?,
        "WORKDIR" => {
            config.working_dir = join(&config.working_dir, &expand(rest, &config.env)?);
        }
        "STOPSIGNAL" => {
            let signal = expand(rest, &config.env)?;
            crate::containers::parse_signal(&signal)?;
            config.stop_signal = Some(signal);
        }
        "ONBUILD" => config.on_build.get_or_insert_default().push(rest.to_owned()),
        "HEALTHCHECK" => config.healthcheck = Some(health(rest)?),
        other => return Err(Error::invalid(format!("{other} is not a valid change command"))),
    }
    Ok(())
}

/// A list in JSON, or a line for the shell.
fn command(text: &str) -> Result<Vec<String>> {
    if text.starts_with('[') {
        return json_list(text);
    }
    Ok(vec!["/bin/sh".into(), "-c".into(), text.into()])
}

fn health(text: &str) -> Result<HealthConfig> {
    let (mut health, mut rest) = (HealthConfig::default(), text);
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        match name {
            "interval" => health.interval = duration(name, value)?,
            "timeout" => health.timeout = duration(name, value)?,
            "start-period" => health.start_period = duration(name, value)?,
            "start-interval" => health.start_interval = duration(name, value)?,
            "retries" => {
                health.retries =
                    value.parse().ok().filter(|count| *count >= 0).ok_or_else(|| {
                        Error::invalid(format!(
                            "--retries cannot be negative or no number: {value}"
                        ))
                    })?;
            }
            _ => return Err(Error::invalid(format!("unknown flag: --{name}"))),
        }
        rest = after.trim_start();
    }
    let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    health.test = match word.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => vec!["NONE".to_owned()],
        "CMD" if command.is_empty() => {
            return Err(Error::invalid("missing command after HEALTHCHECK CMD"));
        }
        "CMD" if command.starts_with('[') => {
            let mut test = vec!["CMD".to_owned()];
            test.extend(json_list(command)?);
            test
        }
        "CMD" => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        "NONE" => return Err(Error::invalid("HEALTHCHECK NONE takes no arguments")),
        other => {
            let text = format!("unknown type {other:?} in HEALTHCHECK (try CMD)");
            return Err(Error::invalid(text));
        }
    };
    Ok(health)
}

/// Nanoseconds of `1m30s`.
fn duration(name: &str, text: &str) -> Result<i64> {
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    let nanos = parsed.and_then(|duration| i64::try_from(duration.as_nanos()).ok());
    match nanos {
        Some(nanos) if nanos == 0 || nanos >= 1_000_000 => Ok(nanos),
        Some(_) => Err(Error::invalid(format!("interval \"{name}\" cannot be less than 1ms"))),
        None => Err(Error::invalid(format!("invalid duration for --{name}: {text:?}"))),
    }
}

fn join(above: &str, path: &str) -> String {
    if path.starts_with('/') || above.is_empty() {
        return if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    }
    format!("{}/{path}", above.trim_end_matches('/'))
}

/// `key=value "k 2"="v 2"`, or the old `key value with spaces`.
fn pairs(text: &str, env: &[String]) -> Result<Vec<(String, String)>> {
    let words = words(text, env)?;
    if let Some(first) = words.first()
        && !first.contains('=')
    {
        let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok(vec![(expand(key, env)?, expand(value.trim(), env)?)]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Error::invalid(format!("syntax error - can't find = in \"{word}\""))),
        })
        .collect()
}

/// Words with quotes and backslashes taken away, and variables replaced.
fn words(text: &str, env: &[String]) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match (character, quote) {
            ('\\', Some('"') | None) => {
                let mut after = rest.chars();
                word.get_or_insert_default().extend(after.next());
                rest = after.as_str();
            }
            ('$', Some('"') | None) => rest = variable(rest, env, word.get_or_insert_default())?,
            (mark, Some(open)) if mark == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (space, None) if space.is_whitespace() => words.extend(word.take()),
            (other, _) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err(Error::invalid(format!(
            "unexpected end of statement while looking for matching quote: {text}"
        )));
    }
    words.extend(word);
    Ok(words)
}

/// `["a", "b"]`
fn json_list(text: &str) -> Result<Vec<String>> {
    let wrong = || Error::invalid(format!("invalid list: {text}"));
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.trim_end().strip_suffix(']'))
        .ok_or_else(wrong)?;
    let (mut list, mut rest) = (Vec::new(), inner.trim());
    while !rest.is_empty() {
        let body = rest.strip_prefix('"').ok_or_else(wrong)?;
        let (mut item, mut end) = (String::new(), None);
        let mut characters = body.char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    end = Some(place);
                    break;
                }
                '\\' => match characters.next().map(|(_, escaped)| escaped) {
                    Some('n') => item.push('\n'),
                    Some('t') => item.push('\t'),
                    Some(plain @ ('"' | '\\' | '/')) => item.push(plain),
                    _ => return Err(wrong()),
                },
                other => item.push(other),
            }
        }
        list.push(item);
        rest = body[end.ok_or_else(wrong)? + 1..].trim_start();
        match rest.strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => rest = more.trim_start(),
            None if rest.is_empty() => {}
            _ => return Err(wrong()),
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> Result<ContainerConfig> {
        let mut config = ContainerConfig::default();
        let changes: Vec<String> = changes.iter().map(|line| (*line).to_owned()).collect();
        apply(&mut config, &changes).map(|()| config)
    }

    #[test]
    fn instructions_describe_an_image() {
        let config = applied(&[
            "CMD [\"sh\", \"-c\", \"echo \\\"hi\\\"\"]",
            "entrypoint /run me",
            "ENV A=1 B=\"two words\"",
            "ENV OLD form of it",
            "LABEL a.b=c",
            "EXPOSE 80 53/udp",
            "VOLUME /data /more",
            "WORKDIR /srv",
            "WORKDIR app",
            "USER www",
            "STOPSIGNAL SIGQUIT",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["sh", "-c", "echo \"hi\""]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "/run me"]);
        assert_eq!(config.env, ["A=1", "B=two words", "OLD=form of it"]);
        assert_eq!(config.exposed_ports.into_iter().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(config.working_dir, "/srv/app");
        assert_eq!(config.volumes.len(), 2);
    }

    #[test]
    fn variables_are_those_of_the_image() {
        let config = applied(&[
            "ENV DIR=/srv NAME='$DIR'",
            "ENV PATH=$DIR/bin:/bin NOTE=\"in $DIR\"",
            "WORKDIR ${DIR}/app",
            "USER ${WHO:-www}",
            "EXPOSE ${PORT:-80}",
        ])
        .unwrap();
        assert_eq!(config.env[1..], ["NAME=$DIR", "PATH=/srv/bin:/bin", "NOTE=in /srv"]);
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/srv/app", "www"));
        assert!(config.exposed_ports.contains("80/tcp"));
    }

    #[test]
    fn health_checks_have_their_times() {
        let check = "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f x";
        let health = applied(&[check]).unwrap().healthcheck.unwrap();
        assert_eq!((health.interval, health.timeout), (90_000_000_000, 500_000_000));
        assert_eq!((health.retries, health.test[0].as_str()), (3, "CMD-SHELL"));
        let none = applied(&["healthcheck none"]).unwrap().healthcheck.unwrap();
        assert_eq!(none.test, ["NONE"]);
        for bad in ["--interval=1us CMD x", "--interval=soon CMD x", "--odd CMD x", "CMD", "x"] {
            assert!(applied(&[&format!("HEALTHCHECK {bad}")]).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_entrypoint_takes_an_older_command_away() {
        let before =
            ContainerConfig { cmd: Some(vec!["old".into()]), ..ContainerConfig::default() };
        let applied = |lines: &[&str]| {
            let mut config = before.clone();
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            apply(&mut config, &lines).unwrap();
            config.cmd
        };
        assert_eq!(applied(&["ENTRYPOINT [\"/run\"]"]), None);
        let command = applied(&["CMD [\"new\"]", "ENTRYPOINT [\"/run\"]"]);
        assert_eq!(command, Some(vec!["new".to_owned()]));
    }

    #[test]
    fn other_instructions_are_refused() {
        for bad in ["RUN true", "CMD [\"a\"", "CMD", "STOPSIGNAL SIGNOPE", "ENV A=\"open"] {
            assert!(applied(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn damaged_instructions_are_applied_or_refused() {
        let seeds = [
            "CMD [\"sh\", \"-c\", \"true\"]",
            "ENTRYPOINT sh -c true",
            "ENV A=b C=\"d e\" F=\\ g",
            "LABEL a.b='c d' e=f",
            "EXPOSE 80 53/udp 1000-1002/tcp",
            "VOLUME [\"/a\"] /b",
            "WORKDIR ../x",
            "STOPSIGNAL SIGRTMIN+3",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD [\"true\"]",
            "ONBUILD RUN true",
        ];
        fuzz::text_rounds(&seeds, |text| {
            drop(apply(&mut ContainerConfig::default(), &[text.to_owned()]));
        });
    }
}
