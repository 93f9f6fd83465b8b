//! Rules that the fakes keep.

use super::*;
use crate::ports::{ContainerSpec, OutputPipe, Runtime};

#[tokio::test]
async fn what_is_peeked_stays_until_it_is_consumed() {
    let pipe = FakePipe::new();
    pipe.write(b"abc");
    let mut reader = FakeReader(pipe.clone());
    assert_eq!(reader.peek().await.unwrap(), b"abc");
    assert_eq!(reader.peek().await.unwrap(), b"abc");
    reader.consume(2).await.unwrap();
    pipe.close_writer();
    assert_eq!(reader.peek().await.unwrap(), b"c");
    reader.consume(1).await.unwrap();
    assert!(reader.peek().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_container_is_there_until_it_is_deleted() {
    let runtime = FakeRuntime::new();
    let spec =
        ContainerSpec { id: "c".into(), args: vec!["true".into()], ..ContainerSpec::default() };
    let process = runtime.create(spec).await.unwrap();
    runtime.start("c").await.unwrap();
    assert_eq!(runtime.wait(process.id).await.unwrap().code, 0);
    assert_eq!(runtime.recover().await.unwrap().len(), 1);
    runtime.delete("c").await.unwrap();
    assert!(runtime.recover().await.unwrap().is_empty());
}
