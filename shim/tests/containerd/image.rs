//! Images as archives that `ctr image import` takes, of both kinds: layers of WebAssembly, and ordinary layers of files.

use crate::machine::{Machine, end};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The media type of layers that are modules or components.
pub const WASM: &str = "application/wasm";
/// An older one of components.
pub const COMPONENT: &str = "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm";

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

impl Machine {
    /// Imports an image whose one layer is a program, and returns its name and the layer's digest.
    ///
    /// Versions of containerd from before 1.7 take each layer for an archive of files. What they can't unpack is prepared by hand, as later
    /// versions do it: the layer adds no files.
    pub fn import_wasm(&self, name: &str, media_type: &str, program: &[u8]) -> (String, String) {
        self.import_layer(Image::new(self, name), media_type, program)
    }

    /// The same of a program that is to be started once, with these calls.
    pub fn import_started(&self, name: &str, program: &[u8], calls: &str) -> (String, String) {
        let annotations = format!(r#"{{"io.ampoule.start-once":{calls:?}}}"#);
        self.import_layer(Image { annotations, ..Image::new(self, name) }, WASM, program)
    }

    fn import_layer(&self, image: Image, media_type: &str, program: &[u8]) -> (String, String) {
        self.await_compilers();
        let digest = image.blob(program);
        let name = image.import(self, ("wasm", "wasip1"), media_type, &digest, program.len(), "[\"/program.wasm\"]");
        self.ask(&["snapshots", "prepare", "empty"]);
        // Another image may have the same layer.
        if end(&mut self.ctr(&["snapshots", "commit", &digest, "empty"]), b"").status != 0 {
            self.ask(&["snapshots", "rm", "empty"]);
        }
        (name, digest)
    }

    /// Imports an image with files, of which the first is the entry point; returns its name.
    pub fn import_files(&self, name: &str, files: &[(&str, &[u8])]) -> String {
        let image = Image::new(self, name);
        let (root, archive) = (image.folder.join("root"), image.folder.join("layer.tar"));
        for (path, bytes) in files {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            fs::write(&path, bytes).expect("written");
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        }
        tar(&root, &archive);
        let layer = fs::read(&archive).expect("written");
        let digest = image.blob(&layer);
        fs::remove_dir_all(root).expect("removed");
        fs::remove_file(archive).expect("removed");
        let entry = format!("[{:?}]", files[0].0);
        image.import(self, ("amd64", "linux"), LAYER, &digest, layer.len(), &entry)
    }
}

/// An image that is being made.
struct Image {
    name: String,
    folder: std::path::PathBuf,
    /// Of its layer, as JSON.
    annotations: String,
}

impl Image {
    fn new(machine: &Machine, name: &str) -> Self {
        let folder = machine.folder.path().join("images").join(name);
        fs::create_dir_all(folder.join("blobs/sha256")).expect("made");
        Self { name: format!("localhost/{name}:latest"), folder, annotations: "{}".to_owned() }
    }

    fn blob(&self, bytes: &[u8]) -> String {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.folder.join("blobs/sha256").join(&digest), bytes).expect("written");
        format!("sha256:{digest}")
    }

    fn import(
        &self,
        machine: &Machine,
        (architecture, os): (&str, &str),
        media_type: &str,
        layer: &str,
        len: usize,
        entry: &str,
    ) -> String {
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"{os}","config":{{"Entrypoint":{entry}}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{CONFIG}","digest":"{}","size":{}}},"layers":[{{"mediaType":"{media_type}","digest":"{layer}","size":{len},"annotations":{}}}]}}"#,
            self.blob(config.as_bytes()),
            config.len(),
            self.annotations
        );
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"platform":{{"architecture":"{architecture}","os":"{os}"}},"annotations":{{"io.containerd.image.name":"{}"}}}}]}}"#,
            self.blob(manifest.as_bytes()),
            manifest.len(),
            self.name
        );
        fs::write(self.folder.join("index.json"), index).expect("written");
        fs::write(self.folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
        let archive = self.folder.with_extension("tar");
        tar(&self.folder, &archive);
        let archive = archive.to_str().expect("text");
        let unpack: &[&str] = if media_type == LAYER { &[] } else { &["--no-unpack"] };
        machine.ask(&[&["images", "import", "--all-platforms"], unpack, &[archive]].concat());
        self.name.clone()
    }
}

fn tar(folder: &Path, archive: &Path) {
    let ended = end(Command::new("tar").arg("-C").arg(folder).arg("-cf").arg(archive).arg("."), b"");
    assert_eq!(ended.status, 0, "{}", ended.stderr);
}
