//! A container's life, over fakes.

mod ending;
mod files;
mod health;
mod image_mounts;
mod life;
mod logs;
mod recovery;
mod resources;
mod restart;
mod seen;
mod streams;
