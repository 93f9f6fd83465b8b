//! The metadata: tables of JSON records in one transactional file.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, StoreError};

type Definition = TableDefinition<'static, &'static str, &'static [u8]>;

/// A table of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Containers,
    Images,
    References,
    Layers,
    Volumes,
    Facts,
}

impl Table {
    pub(crate) const ALL: [Self; 6] = [
        Self::Containers,
        Self::Images,
        Self::References,
        Self::Layers,
        Self::Volumes,
        Self::Facts,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::Images => "images",
            Self::References => "references",
            Self::Layers => "layers",
            Self::Volumes => "volumes",
            Self::Facts => "facts",
        }
    }

    fn definition(self) -> Definition {
        TableDefinition::new(self.name())
    }
}

/// One change of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Table, String, Vec<u8>),
    Remove(Table, String),
}

impl Change {
    pub(crate) fn put(table: Table, key: &str, record: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(record).map_err(StoreError::Encode)?;
        Ok(Self::Put(table, key.to_owned(), bytes))
    }

    pub(crate) fn remove(table: Table, key: &str) -> Self {
        Self::Remove(table, key.to_owned())
    }
}

/// A record under its key.
pub(crate) type Keyed<R> = (String, R);

/// A record that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Damaged {
    pub table: Table,
    pub key: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Metadata {
    path: PathBuf,
    /// `None` after a failure, until it can be opened again.
    database: RwLock<Option<Database>>,
}

/// Pages held in memory: the whole database is small, and memory in the guest is dear.
const CACHE_BYTES: usize = 4 << 20;

impl Metadata {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let database = open(path)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)) })
    }

    /// All changes or none, on the disk when this returns.
    pub(crate) fn apply(&self, changes: &[Change]) -> Result<()> {
        let result = self.with(|database| write(database, changes));
        if result.is_err() {
            // After a write that failed (the disk was full) redb refuses everything.
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }

    fn with<T>(&self, step: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = &*database {
                return step(database);
            }
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(open(&self.path)?);
        }
        slot.as_ref().map_or_else(|| Err(StoreError::Missing("the metadata".into())), step)
    }

    pub(crate) fn get<R: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<R>> {
        let doing = "read the metadata";
        self.with(|database| {
            let transaction = database.begin_read().map_err(StoreError::database(doing))?;
            let table =
                transaction.open_table(table.definition()).map_err(StoreError::database(doing))?;
            let found = table.get(key).map_err(StoreError::database(doing))?;
            Ok(found.and_then(|bytes| serde_json::from_slice(bytes.value()).ok()))
        })
    }

    /// Every record that can be read, and those that cannot.
    pub(crate) fn all<R: DeserializeOwned>(
        &self,
        table: Table,
    ) -> Result<(Vec<Keyed<R>>, Vec<Damaged>)> {
        let doing = "read the metadata";
        let (mut good, mut damaged) = (Vec::new(), Vec::new());
        self.with(|database| {
            let transaction = database.begin_read().map_err(StoreError::database(doing))?;
            let opened =
                transaction.open_table(table.definition()).map_err(StoreError::database(doing))?;
            for row in opened.iter().map_err(StoreError::database(doing))? {
                let (key, value) = row.map_err(StoreError::database(doing))?;
                let (key, bytes) = (key.value().to_owned(), value.value());
                match serde_json::from_slice(bytes) {
                    Ok(record) => good.push((key, record)),
                    Err(_) => damaged.push(Damaged { table, key, bytes: bytes.to_vec() }),
                }
            }
            Ok(())
        })?;
        Ok((good, damaged))
    }

    /// Reads everything once, so that damage is found here and not later.
    pub(crate) fn check(&self) -> Result<()> {
        Table::ALL
            .into_iter()
            .try_for_each(|table| self.all::<serde::de::IgnoredAny>(table).map(drop))
    }
}

fn open(path: &Path) -> Result<Database> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(StoreError::database("open the metadata"))?;
    let doing = "make the metadata's tables";
    let transaction = database.begin_write().map_err(StoreError::database(doing))?;
    for table in Table::ALL {
        transaction.open_table(table.definition()).map_err(StoreError::database(doing))?;
    }
    transaction.commit().map_err(StoreError::database(doing))?;
    Ok(database)
}

fn write(database: &Database, changes: &[Change]) -> Result<()> {
    let doing = "change the metadata";
    let transaction = database.begin_write().map_err(StoreError::database(doing))?;
    for change in changes {
        match change {
            Change::Put(table, key, bytes) => {
                let mut table = transaction
                    .open_table(table.definition())
                    .map_err(StoreError::database(doing))?;
                table
                    .insert(key.as_str(), bytes.as_slice())
                    .map_err(StoreError::database(doing))?;
            }
            Change::Remove(table, key) => {
                let mut table = transaction
                    .open_table(table.definition())
                    .map_err(StoreError::database(doing))?;
                table.remove(key.as_str()).map_err(StoreError::database(doing))?;
            }
        }
    }
    transaction.commit().map_err(StoreError::database(doing))
}
