//! Whether somebody other than root could change what root would run; keepalived's `enable_script_security`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows.
const MAX_LINKS: u32 = 40;
/// What a shell and `execvp` look through if the environment does not say.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A part of the path of a program that others than root can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposed {
    path: PathBuf,
    by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Owner(u32),
    Group(u32),
    Others,
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can be changed by ", self.path.display())?;
        match self.by {
            By::Owner(uid) => write!(f, "its owner, user {uid}"),
            By::Group(gid) => write!(f, "group {gid}"),
            By::Others => f.write_str("everybody"),
        }
    }
}

/// Looks at the program and at each folder and link on the way to it. What does not exist is not exposed: it can't be
/// run either. A name without a slash is looked up in `PATH`.
pub(super) fn check(program: &OsStr) -> Result<(), Exposed> {
    let program = Path::new(program);
    if program.components().count() == 1 && !program.has_root() {
        return match find(program) {
            Some(path) => walk(&path),
            None => Ok(()),
        };
    }
    walk(program)
}

fn find(program: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Goes the way that the kernel goes, one component after the other.
fn walk(path: &Path) -> Result<(), Exposed> {
    let mut here = if path.has_root() {
        PathBuf::from("/")
    } else {
        match std::env::current_dir() {
            Ok(folder) => return walk(&folder.join(path)),
            Err(_) => return Ok(()),
        }
    };
    judge(&here)?;
    // What is still to go, the last first.
    let mut ahead: Vec<PathBuf> = Vec::new();
    push(&mut ahead, path);
    let mut links = 0;
    while let Some(next) = ahead.pop() {
        if next.as_os_str() == ".." {
            here.pop();
            continue;
        }
        here.push(next);
        let Ok(metadata) = here.symlink_metadata() else {
            return Ok(());
        };
        if metadata.is_symlink() {
            links += 1;
            let Some(target) = std::fs::read_link(&here).ok().filter(|_| links <= MAX_LINKS) else {
                return Ok(());
            };
            here.pop();
            if target.has_root() {
                here = PathBuf::from("/");
            }
            push(&mut ahead, &target);
        } else {
            judge_metadata(&here, &metadata)?;
        }
    }
    Ok(())
}

fn push(ahead: &mut Vec<PathBuf>, path: &Path) {
    let components = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    ahead.extend(components);
}

fn judge(path: &Path) -> Result<(), Exposed> {
    match path.symlink_metadata() {
        Ok(metadata) => judge_metadata(path, &metadata),
        Err(_) => Ok(()),
    }
}

/// The sticky bit changes nothing: others may still put a file where a name is free.
fn judge_metadata(path: &Path, metadata: &Metadata) -> Result<(), Exposed> {
    let by = match metadata.mode() {
        _ if metadata.uid() != 0 => By::Owner(metadata.uid()),
        mode if mode & 0o020 != 0 && metadata.gid() != 0 => By::Group(metadata.gid()),
        mode if mode & 0o002 != 0 => By::Others,
        _ => return Ok(()),
    };
    Err(Exposed {
        path: path.into(),
        by,
    })
}

/// The program that a line for a shell begins with, if it says where it is.
pub(super) fn program_of_line(line: &OsStr) -> Option<String> {
    let words = super::words::split(line.to_str()?).ok()?;
    words.into_iter().next().filter(|word| word.contains('/'))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn programs_of_the_system_are_not_exposed() {
        assert_eq!(check(OsStr::new("/bin/sh")), Ok(()));
        assert_eq!(check(OsStr::new("sh")), Ok(()));
        assert_eq!(check(OsStr::new("/usr/bin/../bin/./env")), Ok(()));
    }

    #[test]
    fn what_does_not_exist_is_not_exposed() {
        assert_eq!(check(OsStr::new("/nonexistent/a")), Ok(()));
        assert_eq!(check(OsStr::new("no-such-program")), Ok(()));
    }

    #[test]
    fn a_folder_that_everybody_writes_to_exposes_what_is_in_it() {
        let exposed = check(OsStr::new("/tmp/a")).unwrap_err();
        assert_eq!(exposed.to_string(), "/tmp can be changed by everybody");
    }

    #[test]
    fn a_line_begins_with_its_program() {
        assert_eq!(
            program_of_line(OsStr::new("'/opt/a b' -x | y")).as_deref(),
            Some("/opt/a b")
        );
        assert_eq!(program_of_line(OsStr::new("killall -0 nginx")), None);
        assert_eq!(program_of_line(OsStr::new("'open")), None);
    }
}
