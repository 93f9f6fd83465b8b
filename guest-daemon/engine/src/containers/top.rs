//! `docker top`: ps, without the program. Which processes there are is given; its arguments choose
//! what is shown of each.

mod arguments;
mod columns;
mod formats;
mod selection;
mod sort;
mod tree;

use super::types::{Status, Top};
use super::{Containers, attributes_of, not_running};
use crate::error::{Error, Result};
use crate::ports::{Listed, ProcessEntry};
use arguments::Tree;
use columns::{Facts, Owner, is_command, owner, show};

impl Containers {
    pub async fn top(&self, reference: &str, ps_args: &str) -> Result<Top> {
        let asked = arguments::parse(ps_args)?;
        let handle = self.core.registry.find(reference)?;
        let snapshot = handle.look();
        match snapshot.container.state.status {
            Status::Running | Status::Paused => {}
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "Container {} is restarting, wait until the container is running",
                    handle.id
                )));
            }
            Status::Created | Status::Removing | Status::Exited | Status::Dead => {
                return Err(not_running(&handle.id));
            }
        }
        let mut table = self.core.runtime.process_table(&handle.id, asked.of).await?;
        let mut threads = match asked.with_threads {
            true => self.core.runtime.process_table(&handle.id, Listed::Threads).await?,
            false => Vec::new(),
        };
        table.retain(|entry| asked.selection.has(entry));
        let facts = Facts {
            now: self.core.clock.now(),
            memory: self.core.host.memory,
            cumulative: asked.cumulative,
        };
        let attributes = attributes_of(&snapshot.container);
        self.core.events.publish("container", "top", &handle.id, attributes);
        sort::by(&mut table, &asked.order, &facts);
        let lines = match asked.tree {
            Tree::None => table.into_iter().map(|entry| (String::new(), entry)).collect(),
            Tree::Order => tree::grown(table, tree::Branches::Hidden),
            Tree::Drawn => tree::grown(table, tree::Branches::Drawn),
        };
        let line = |branches: &str, entry: &ProcessEntry, not_of: Option<Owner>| {
            let fields = asked.columns.iter().map(|column| {
                if not_of == Some(owner(&column.key)) {
                    return "-".to_owned();
                }
                let text = show(&column.key, entry, &facts);
                match (is_command(&column.key), asked.environment) {
                    (false, _) => text,
                    (true, true) if !entry.environment.is_empty() => {
                        format!("{branches}{text} {}", entry.environment)
                    }
                    (true, _) => format!("{branches}{text}"),
                }
            });
            fields.collect::<Vec<String>>()
        };
        let mut processes = Vec::new();
        for (branches, entry) in &lines {
            let not_of = asked.with_threads.then_some(Owner::Thread);
            processes.push(line(branches, entry, not_of));
            let below = threads.extract_if(.., |thread| thread.pid == entry.pid);
            processes.extend(below.map(|thread| line("", &thread, Some(Owner::Process))));
        }
        Ok(Top {
            processes,
            titles: asked.columns.iter().map(|column| column.title.clone()).collect(),
        })
    }
}
