//! Values that lie in files beside the model: `location`, `offset` and `length` of each tensor.

use std::path::Path;

use crate::proto::GraphProto;

/// Moves the values of all tensors that lie in other files into the tensors. Only files in the model's own folder, or below it, are read, and of each no more than
/// four times what it holds: tensors may share values.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn gather(graph: &mut GraphProto, folder: &Path) -> Result<(), String> {
    walk(graph, folder, &mut std::collections::BTreeMap::new())
}

/// How many bytes of each file have been read.
#[cfg(not(target_arch = "wasm32"))]
type Taken = std::collections::BTreeMap<std::path::PathBuf, u64>;

#[cfg(not(target_arch = "wasm32"))]
fn walk(graph: &mut GraphProto, folder: &Path, taken: &mut Taken) -> Result<(), String> {
    use crate::proto::tensor_proto::DataLocation;
    for tensor in &mut graph.initializer {
        fill(tensor, folder, taken).map_err(|message| format!("the tensor `{}` {message}", tensor.name))?;
    }
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            let own = attribute.t.iter_mut().chain(&mut attribute.tensors);
            for tensor in own.filter(|t| t.data_location == DataLocation::External as i32) {
                fill(tensor, folder, taken)
                    .map_err(|message| format!("the tensor of attribute `{}` of node `{}` {message}", attribute.name, node.name))?;
            }
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                walk(inner, folder, taken)?;
            }
        }
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn gather(_: &mut GraphProto, _: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(not(target_arch = "wasm32"))]
fn fill(tensor: &mut crate::proto::TensorProto, folder: &Path, taken: &mut Taken) -> Result<(), String> {
    use std::io::{Read, Seek, SeekFrom};
    use std::path::Component;

    use crate::proto::tensor_proto::DataLocation;

    if tensor.data_location != DataLocation::External as i32 {
        return Ok(());
    }
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let location = entry("location").ok_or("lies in another file, but does not say in which")?;
    let number = |key: &str| {
        entry(key).map(|text| text.parse::<u64>().map_err(|_| format!("has the {key} {text:?}, which is no number"))).transpose()
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);

    let relative = Path::new(location);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !inside || location.contains('\\') {
        return Err(format!("lies in {location:?}; only files in the model's own folder are read"));
    }
    let path = folder.join(relative);
    let refuse = |e: std::io::Error| format!("lies in {}, which cannot be read: {e}", path.display());
    // A link may lead out of the folder.
    let (real, home) = (path.canonicalize().map_err(refuse)?, folder.canonicalize().map_err(refuse)?);
    if !real.starts_with(&home) || !real.is_file() {
        return Err(format!("lies in {}, which is no file in the model's own folder", path.display()));
    }
    let mut file = std::fs::File::open(&real).map_err(refuse)?;
    let size = file.metadata().map_err(refuse)?.len();
    let length = length.unwrap_or(size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(format!("lies at {offset}, {length} bytes, in {}, which has {size} bytes", path.display()));
    }
    let before = taken.entry(real).or_default();
    *before = before.saturating_add(length);
    if *before > size.saturating_mul(4) {
        return Err(format!("lies in {}, of which more than four times its {size} bytes is asked for", path.display()));
    }
    file.seek(SeekFrom::Start(offset)).map_err(refuse)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(refuse)?;
    if bytes.len() as u64 != length {
        return Err(format!("lies in {}, which ended after {} of {length} bytes", path.display(), bytes.len()));
    }
    tensor.raw_data = bytes;
    tensor.data_location = DataLocation::Default as i32;
    Ok(())
}
