//! Everything the engine keeps on its data disk: blobs, layers, image references, records of
//! containers and volumes, and log files.
//!
//! **Invariant:** nothing here mounts or forks; the store says *what* to mount. What is visible
//! under its final name is whole: files are written beside, synchronised and renamed.

mod archive_describe;
mod archive_load;
mod archive_save;
mod archive_spool;
mod aside;
mod atomic;
pub mod batch;
mod beneath;
mod blobs;
mod changes;
mod compress;
mod compression;
mod container_archive;
mod container_files;
mod database;
pub mod digests;
mod documents;
mod error;
pub mod files;
mod frame;
mod frame_write;
mod holes;
mod image_config;
mod known_blobs;
mod landing;
mod layers;
mod layout;
pub mod logs;
pub mod objects;
mod open;
mod place;
mod pump_state;
mod rebuild;
mod receive;
pub mod records;
mod room;
mod skeleton;
mod sparse;
mod tar_entry;
mod tar_read;
mod tar_write;
mod trees;
mod unpack;
mod view;
mod volumes;
mod walk;

pub use archive_describe::{ArchivePlatform, ArchivedImage, Choice};
pub use archive_load::ArchiveProgress;
pub use archive_save::{SavedImage, SavedName};
pub use archive_spool::Spooled;
pub use changes::{Change, ChangeKind};
pub use digests::digest_of;
pub use error::{Result, StoreError, with_causes};
pub use image_config::{NewImage, read_image};
pub use landing::Landed;
pub use layers::chain_ids;
pub use layout::Layout;
pub use open::Store;
pub use pump_state::{Chunk, PumpMark, PumpState, Recovery};
pub use receive::ExpectedLayer;

#[cfg(test)]
mod tests;
