//! Development tasks that are too long for a shell script.

mod image;
mod tidy;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Development tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the guest image: kernel (cached), initramfs, empty disk, manifest.
    Image {
        /// Where the image goes.
        #[arg(long, default_value = "target/release/image/x86_64")]
        output: PathBuf,
        /// Also write the compressed files that are downloaded.
        #[arg(long)]
        packed: bool,
    },
    /// Check what no compiler checks: arrows between crates, sizes of files, names.
    Tidy,
}

fn main() -> anyhow::Result<()> {
    let root = workspace_root();
    match Arguments::parse().task {
        Task::Image { output, packed } => image::build(&root, &root.join(output), packed),
        Task::Tidy => tidy::check(&root),
    }
}

fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
