//! The paths of one host: a radix tree in four flat arrays, walked once for exact paths and prefixes alike.

/// Paths, each with the number of the route that it leads to.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    nodes: Box<[Node]>,
    /// The first byte of each node's text, in a row for the children of one node.
    firsts: Box<[u8]>,
    text: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Its part of the path, in `text`.
    start: u32,
    len: u32,
    /// Its children, which follow each other in `nodes` as in `firsts`.
    children: u32,
    children_len: u32,
    prefix: u32,
    exact: u32,
}

/// No route.
const NONE: u32 = u32::MAX;

/// A path of a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) path: &'a [u8],
    pub(super) exact: bool,
    pub(super) route: u32,
}

impl Trie {
    /// Of two equal entries the last wins; the caller has refused them.
    pub(super) fn new(mut entries: Vec<Entry<'_>>) -> Self {
        entries.sort_by_key(|entry| entry.path);
        let root = Node {
            start: 0,
            len: 0,
            children: 0,
            children_len: 0,
            prefix: NONE,
            exact: NONE,
        };
        let (mut nodes, mut firsts, mut text) = (vec![root], vec![0], Vec::new());
        // Each with the entries below it and how much of their paths lies above it; so children lie in a row.
        let mut open = std::collections::VecDeque::from([(0, &entries[..], 0)]);
        while let Some((index, mut below, depth)) = open.pop_front() {
            while let Some((entry, rest)) = below.split_first().filter(|(entry, _)| entry.path.len() == depth)
            {
                let node: &mut Node = &mut nodes[index];
                let slot = if entry.exact {
                    &mut node.exact
                } else {
                    &mut node.prefix
                };
                *slot = entry.route;
                below = rest;
            }
            nodes[index].children = number(nodes.len());
            for group in below.chunk_by(|a, b| a.path[depth] == b.path[depth]) {
                // Sorted, so what the first and the last have in common, all have.
                let (first, last) = (group[0].path, group[group.len() - 1].path);
                let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
                open.push_back((nodes.len(), group, shared));
                firsts.push(first[depth]);
                nodes.push(Node {
                    start: number(text.len()),
                    len: number(shared - depth),
                    ..root
                });
                text.extend_from_slice(&first[depth..shared]);
                nodes[index].children_len += 1;
            }
        }
        Self {
            nodes: nodes.into(),
            firsts: firsts.into(),
            text: text.into(),
        }
    }

    /// The route of the exact path, else of the longest prefix.
    pub(super) fn find(&self, path: &[u8]) -> Option<u32> {
        let mut rest = path;
        let mut node = &self.nodes[0];
        let mut found = node.prefix;
        loop {
            let Some(&first) = rest.first() else {
                if node.exact != NONE {
                    found = node.exact;
                }
                break;
            };
            let children = node.children as usize..(node.children + node.children_len) as usize;
            let Some(child) = self.firsts[children].iter().position(|&byte| byte == first) else {
                break;
            };
            node = &self.nodes[node.children as usize + child];
            // The first byte is known to fit, and often it is all.
            let text = &self.text[node.start as usize + 1..(node.start + node.len) as usize];
            let Some(after) = rest[1..].strip_prefix(text) else {
                break;
            };
            rest = after;
            if node.prefix != NONE {
                found = node.prefix;
            }
        }
        (found != NONE).then_some(found)
    }
}

/// A place in the arrays. There are fewer routes than 2³², and their paths are short.
fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a config of routes is far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_comes_before_the_longest_prefix() {
        let trie = trie(&[
            ("/", false),
            ("/a", true),
            ("/a", false),
            ("/ab/c", false),
            ("/ab/cd/", true),
        ]);
        assert_eq!(trie.find(b"/"), Some(0));
        assert_eq!(trie.find(b"/a"), Some(1));
        assert_eq!(trie.find(b"/ab"), Some(2));
        assert_eq!(trie.find(b"/ab/"), Some(2));
        assert_eq!(trie.find(b"/ab/c"), Some(3));
        assert_eq!(trie.find(b"/ab/cd"), Some(3));
        assert_eq!(trie.find(b"/ab/cd/"), Some(4));
        assert_eq!(trie.find(b"/ab/cd/e"), Some(3));
        assert_eq!(trie.find(b"/b"), Some(0));
        assert_eq!(trie.find(b""), None);
    }

    #[test]
    fn without_a_root_other_paths_find_nothing() {
        let trie = trie(&[("/a/", false), ("/b", true)]);
        assert_eq!(trie.find(b"/"), None);
        assert_eq!(trie.find(b"/a"), None);
        assert_eq!(trie.find(b"/bb"), None);
        assert_eq!(trie.find(b"/a/b"), Some(0));
        assert_eq!(Trie::new(Vec::new()).find(b"/"), None);
    }

    fn trie(paths: &[(&str, bool)]) -> Trie {
        let entries = (0..).zip(paths).map(|(route, (path, exact))| Entry {
            path: path.as_bytes(),
            exact: *exact,
            route,
        });
        Trie::new(entries.collect())
    }
}
