//! Files of containers: archive, changes, export, commit, and what takes how much space.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

fn archive() -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o640);
    header.set_mtime(1_700_000_000);
    archive.append_data(&mut header, "dir/file", b"12345".as_slice()).unwrap();
    archive.into_inner().unwrap().into()
}

fn stat_of(answer: &Answer) -> Value {
    let header = answer.header("x-docker-container-path-stat");
    let json = base64::engine::general_purpose::STANDARD.decode(header).unwrap();
    serde_json::from_slice(&json).unwrap()
}

async fn rig() -> Rig {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "9"] })).await;
    let put = rig.send("PUT", "/containers/web/archive?path=%2F", archive()).await;
    assert_eq!((put.status, &put.body[..]), (200, b"".as_slice()));
    rig
}

#[tokio::test]
async fn an_archive_goes_in_and_comes_out_with_its_facts() {
    let rig = rig().await;
    let path = "/containers/web/archive?path=%2Fdir%2Ffile";
    let head = rig.send("HEAD", path, Bytes::new()).await;
    assert_eq!(head.status, 200);
    assert_eq!(
        stat_of(&head),
        json!({
            "name": "file", "size": 5, "mode": 0o640, "mtime": "2023-11-14T22:13:20Z",
            "linkTarget": "",
        })
    );
    let got = rig.get(path).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/x-tar"));
    assert_eq!(stat_of(&got), stat_of(&head));
    let mut archive = tar::Archive::new(&got.body[..]);
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(&*entry.path_bytes(), b"file");
    let folder = rig.get("/containers/web/archive?path=/dir").await;
    assert_eq!(stat_of(&folder)["mode"], 0x8000_0000_u32 | 0o755);
}

#[tokio::test]
async fn a_path_is_needed_and_must_be_there() {
    let rig = rig().await;
    let missing = rig.get("/containers/web/archive?path=/nosuch").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.message(), "Could not find the file /nosuch in container web");
    for method in ["HEAD", "GET", "PUT"] {
        let answer = rig.send(method, "/containers/web/archive", Bytes::new()).await;
        assert_eq!(answer.status, 400, "{method}");
    }
    let broken = Bytes::from_static(b"no archive");
    let answer = rig.send("PUT", "/containers/web/archive?path=/dir", broken).await;
    assert_eq!(answer.status, 500);
    let path = "/containers/web/archive?path=/&noOverwriteDirNonDir=true";
    let mut folder_as_file = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    folder_as_file.append_data(&mut header, "dir", b"".as_slice()).unwrap();
    let answer = rig.send("PUT", path, folder_as_file.into_inner().unwrap().into()).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.message(), "cannot overwrite directory \"/dir\" with non-directory \"/\"");
}

#[tokio::test]
async fn changes_have_numbers_and_none_are_null() {
    let rig = rig().await;
    assert_eq!(
        rig.get("/containers/web/changes").await.json(),
        json!([{ "Path": "/dir", "Kind": 1 }, { "Path": "/dir/file", "Kind": 1 }])
    );
    rig.create("same", json!({ "Image": "busybox" })).await;
    assert_eq!(rig.get("/containers/same/changes").await.json(), Value::Null);
}

#[tokio::test]
async fn an_export_is_a_stream_of_bytes() {
    let rig = rig().await;
    let export = rig.get("/containers/web/export").await;
    assert_eq!(export.header("content-type"), "application/octet-stream");
    let mut archive = tar::Archive::new(&export.body[..]);
    let found = archive
        .entries()
        .unwrap()
        .any(|entry| entry.unwrap().path_bytes().as_ref() == b"dir/file".as_slice());
    assert!(found);
}

#[tokio::test]
async fn a_commit_answers_with_the_new_images_id() {
    let rig = rig().await;
    let path = "/commit?container=web&repo=made&tag=1&comment=why&changes=ENV+A%3D1";
    for body in [Value::Null, json!({}), json!({ "Env": ["B=2"] })] {
        let answer = rig.post(path, body.clone()).await;
        assert_eq!(answer.status, 201, "{body}");
        let image = rig.get("/images/made:1/json").await.json();
        assert_eq!(answer.json(), json!({ "Id": image["Id"] }));
        assert_eq!(image["Comment"], "why");
        let env = image["Config"]["Env"].as_array().unwrap();
        assert!(env.contains(&json!("A=1")), "{env:?}");
        assert_eq!(env.contains(&json!("B=2")), body.get("Env").is_some(), "{env:?}");
    }
    let null = rig.send("POST", "/commit?container=web", Bytes::from_static(b"null\n")).await;
    assert_eq!(null.status, 201);
    let unknown = rig.post("/commit?container=nosuch", Value::Null).await;
    assert_eq!((unknown.status, &*unknown.message()), (404, "No such container: nosuch"));
}

#[tokio::test]
async fn disk_usage_is_told_whole_or_in_parts() {
    let rig = rig().await;
    rig.post("/volumes/create", json!({ "Name": "vol" })).await;
    let all = rig.get("/system/df").await.json();
    assert_eq!(all["Images"][0]["Containers"], 1);
    assert_eq!(all["Images"][0]["SharedSize"], 0);
    assert_eq!(all["LayersSize"], all["Images"][0]["Size"]);
    assert_eq!(all["Containers"][0]["SizeRw"], 5);
    assert_eq!(all["Volumes"][0]["UsageData"], json!({ "RefCount": 0, "Size": 0 }));
    assert_eq!(all["BuildCache"], json!([]));
    let part = rig.get("/system/df?type=volume").await.json();
    assert_eq!(part["Images"], Value::Null);
    assert_eq!(part["BuildCache"], Value::Null);
    assert!(part["Volumes"].is_array());
    let wrong = rig.get("/system/df?type=moon").await;
    assert_eq!((wrong.status, &*wrong.message()), (400, "unknown object type: moon"));
    let old = rig.get("/v1.41/system/df?type=volume").await.json();
    assert!(old["Images"][0]["VirtualSize"].is_number());
    assert_eq!(rig.get("/volumes/vol").await.json().get("UsageData"), None);
}

#[tokio::test]
async fn sizes_are_told_when_asked_for() {
    let rig = rig().await;
    let listed = rig.get("/containers/json?all=1&size=1").await.json();
    let inspected = rig.get("/containers/web/json?size=1").await.json();
    for document in [&listed[0], &inspected] {
        assert_eq!(document["SizeRw"], 5);
        assert_eq!(document["SizeRootFs"], inspected["SizeRootFs"]);
    }
    assert_eq!(rig.get("/containers/web/json").await.json().get("SizeRw"), None);
}
