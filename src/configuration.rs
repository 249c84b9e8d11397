//! One file gathering each room's Settings, and the reading of policy folders. The only room that reads the environment.

use crate::commands::BadInput;
use crate::policy::PolicyFiles;
use std::path::Path;

/// Bytes in one file of a policy folder, at most.
const POLICY_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the files of a policy folder into memory (files only, one level).
///
/// # Errors
/// Where the folder or a file cannot be read, or a file is larger than 64 MiB.
pub fn read_policy_folder(folder: &Path) -> Result<PolicyFiles, BadInput> {
    let fault = |path: &Path, error: &dyn std::fmt::Display| {
        BadInput::new(format!("`{}` cannot be read: {error}", path.display()))
    };
    let mut files = PolicyFiles { folder: folder.display().to_string(), ..PolicyFiles::default() };
    for entry in std::fs::read_dir(folder).map_err(|error| fault(folder, &error))? {
        let entry = entry.map_err(|error| fault(folder, &error))?;
        let path = entry.path();
        let metadata = std::fs::metadata(&path).map_err(|error| fault(&path, &error))?;
        if !metadata.is_file() {
            continue;
        }
        if metadata.len() > POLICY_FILE_BYTES_MAX {
            return Err(fault(&path, &"it is larger than 64 MiB"));
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        files.files.insert(name, std::fs::read(&path).map_err(|error| fault(&path, &error))?);
    }
    Ok(files)
}
