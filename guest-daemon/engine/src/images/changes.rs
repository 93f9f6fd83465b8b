//! The few Dockerfile instructions with which an imported image can be described.

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
            for (key, value) in pairs(rest)? {
                config.env.retain(|known| known.split('=').next() != Some(key.as_str()));
                config.env.push(format!("{key}={value}"));
            }
        }
        "LABEL" => config.labels.extend(pairs(rest)?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                let full = if port.contains('/') { port.into() } else { format!("{port}/tcp") };
                config.exposed_ports.insert(full);
            }
        }
        "VOLUME" => {
            let list = if rest.starts_with('[') {
                json_list(rest)?
            } else {
                rest.split_whitespace().map(String::from).collect()
            };
            config.volumes.extend(list);
        }
        "USER" => config.user = rest.to_owned(),
        "WORKDIR" => config.working_dir = join(&config.working_dir, rest),
        "STOPSIGNAL" => {
            crate::containers::parse_signal(rest)?;
            config.stop_signal = Some(rest.to_owned());
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
    let test = match text.split_once(char::is_whitespace) {
        None if text.eq_ignore_ascii_case("none") => vec!["NONE".to_owned()],
        Some((word, rest)) if word.eq_ignore_ascii_case("cmd") => {
            let rest = rest.trim();
            if rest.starts_with('[') {
                let mut test = vec!["CMD".to_owned()];
                test.extend(json_list(rest)?);
                test
            } else {
                vec!["CMD-SHELL".to_owned(), rest.to_owned()]
            }
        }
        _ => return Err(Error::unimplemented("options of HEALTHCHECK are not implemented here")),
    };
    Ok(HealthConfig { test, ..HealthConfig::default() })
}

fn join(above: &str, path: &str) -> String {
    if path.starts_with('/') || above.is_empty() {
        return if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    }
    format!("{}/{path}", above.trim_end_matches('/'))
}

/// `key=value "k 2"="v 2"`, or the old `key value with spaces`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text)?;
    if let Some(first) = words.first()
        && !first.contains('=')
    {
        let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Error::invalid(format!("syntax error - can't find = in \"{word}\""))),
        })
        .collect()
}

/// Words with quotes and backslashes taken away.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', Some('"') | None) => {
                word.get_or_insert_default().extend(characters.next());
            }
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
