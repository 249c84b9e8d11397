//! A small, bounded reading of XML: no DTD, no entity, no processing instruction, nothing fetched.

use super::{ATTRIBUTES_MAX, DEPTH_MAX, DecodeError, ELEMENTS_MAX};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// A document as a list of elements in document order; parents come before their children.
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

struct Node<'a> {
    start: BytesStart<'a>,
    text: Cow<'a, str>,
    first_child: Option<usize>,
    last_child: Option<usize>,
    next: Option<usize>,
}

/// One element of a tree.
#[derive(Clone, Copy)]
pub(super) struct Element<'t, 'a> {
    tree: &'t Tree<'a>,
    node: &'t Node<'a>,
}

impl<'a> Tree<'a> {
    /// Parses a whole document within the limits.
    ///
    /// # Errors
    /// `malformed-xml`, `doctype-refused`, `processing-instruction-refused`, `entity-refused`, `too-deep`,
    /// `too-many-elements`, `too-many-attributes`, each with its byte.
    pub(super) fn parse(text: &'a str) -> Result<Self, DecodeError> {
        if let Some(at) = text.bytes().position(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) {
            return Err(malformed(at, "a control character stands in the text"));
        }
        let mut reader = Reader::from_str(text);
        let mut building = Building { nodes: Vec::with_capacity(64), open: Vec::with_capacity(16), counted: 0 };
        loop {
            let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            match reader.read_event() {
                Err(_) => return Err(malformed(at, "the text is not well-formed XML")),
                Ok(Event::Eof) => break,
                Ok(event) => building.take(event, at)?,
            }
        }
        if building.nodes.is_empty() || !building.open.is_empty() {
            return Err(malformed(text.len(), "the text ends before the document does"));
        }
        Ok(Self { nodes: building.nodes })
    }

    /// The root element.
    pub(super) fn root(&self) -> Option<Element<'_, 'a>> {
        self.nodes.first().map(|node| Element { tree: self, node })
    }

    /// Every element in document order.
    pub(super) fn elements(&self) -> impl Iterator<Item = Element<'_, 'a>> {
        self.nodes.iter().map(|node| Element { tree: self, node })
    }
}

impl<'t, 'a> Element<'t, 'a> {
    /// The name without its prefix.
    pub(super) fn name(self) -> &'t str {
        let name = self.node.start.name().into_inner();
        name.rsplit_once(':').map_or(name, |(_, local)| local)
    }

    /// The element's own text, trimmed; `None` where blank or `xsi:nil`.
    pub(super) fn text(self) -> Option<&'t str> {
        let text = self.node.text.trim();
        (!text.is_empty() && !matches!(self.attribute("nil"), Some("true" | "1"))).then_some(text)
    }

    /// Child elements in order.
    pub(super) fn children(self) -> impl Iterator<Item = Element<'t, 'a>> {
        let tree = self.tree;
        let node_at = move |at: usize| tree.nodes.get(at);
        let mut next = self.node.first_child.and_then(node_at);
        std::iter::from_fn(move || {
            let node = next?;
            next = node.next.and_then(node_at);
            Some(Element { tree, node })
        })
    }

    /// The first child of a name.
    pub(super) fn child(self, name: &str) -> Option<Element<'t, 'a>> {
        self.children().find(|child| child.name() == name)
    }

    /// Text of the first child of a name that has any.
    pub(super) fn child_text(self, name: &str) -> Option<&'t str> {
        self.children().filter(|child| child.name() == name).find_map(Element::text)
    }

    /// The raw value of an attribute, by its name without prefix.
    pub(super) fn attribute(self, name: &str) -> Option<&'t str> {
        if self.node.start.attributes_raw().is_empty() {
            return None;
        }
        self.node.start.attributes().with_checks(false).flatten().find_map(|attribute| {
            let key = attribute.key.into_inner();
            let local = key.rsplit_once(':').map_or(key, |(_, local)| local);
            match attribute.value {
                Cow::Borrowed(value) if local == name => Some(value),
                _ => None,
            }
        })
    }
}

struct Building<'a> {
    nodes: Vec<Node<'a>>,
    open: Vec<usize>,
    counted: usize,
}

impl<'a> Building<'a> {
    fn take(&mut self, event: Event<'a>, at: usize) -> Result<(), DecodeError> {
        match event {
            Event::Start(start) => {
                let node = self.element(start, at)?;
                self.open.push(node);
                if self.open.len() > DEPTH_MAX {
                    return Err(refused("too-deep", at, &format!("elements nest at most {DEPTH_MAX} deep")));
                }
            }
            Event::Empty(start) => {
                self.element(start, at)?;
            }
            Event::End(_) => {
                self.open.pop();
            }
            Event::Text(text) => self.text(text.xml10_content(), at)?,
            Event::CData(text) => self.text(text.into_inner(), at)?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) if !character.is_control() || matches!(character, '\t' | '\n' | '\r') => {
                        character
                    }
                    Ok(Some(_)) | Err(_) => return Err(malformed(at, "a character reference names no character")),
                    Ok(None) => predefined(&reference)
                        .ok_or_else(|| refused("entity-refused", at, "only the five predefined entities are read"))?,
                };
                self.text(Cow::Owned(character.to_string()), at)?;
            }
            Event::Decl(_) if self.nodes.is_empty() => {}
            Event::Decl(_) | Event::PI(_) => {
                return Err(refused(
                    "processing-instruction-refused",
                    at,
                    "processing instructions other than the XML declaration are refused",
                ));
            }
            Event::DocType(_) => {
                return Err(refused("doctype-refused", at, "a document type declaration is refused; send none"));
            }
            Event::Comment(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn element(&mut self, start: BytesStart<'a>, at: usize) -> Result<usize, DecodeError> {
        self.count(at)?;
        if !start.attributes_raw().is_empty() {
            self.attributes(&start, at)?;
        }
        let index = self.nodes.len();
        match self.open.last() {
            None if index > 0 => return Err(malformed(at, "a second element follows the root element")),
            None => {}
            Some(&parent) => {
                let earlier = self.nodes.get_mut(parent).and_then(|parent| {
                    parent.first_child.get_or_insert(index);
                    parent.last_child.replace(index)
                });
                if let Some(earlier) = earlier.and_then(|earlier| self.nodes.get_mut(earlier)) {
                    earlier.next = Some(index);
                }
            }
        }
        self.nodes.push(Node { start, text: Cow::Borrowed(""), first_child: None, last_child: None, next: None });
        Ok(index)
    }

    fn attributes(&mut self, start: &BytesStart<'a>, at: usize) -> Result<(), DecodeError> {
        for (number, attribute) in start.attributes().enumerate() {
            if number >= ATTRIBUTES_MAX {
                let detail = format!("an element has at most {ATTRIBUTES_MAX} attributes");
                return Err(refused("too-many-attributes", at, &detail));
            }
            self.count(at)?;
            let attribute = attribute.map_err(|_| malformed(at, "an attribute is not well-formed"))?;
            if attribute.value.contains('<') {
                return Err(malformed(at, "an attribute is not well-formed"));
            }
            if attribute.value.contains('&') && quick_xml::escape::unescape(&attribute.value).is_err() {
                return Err(refused("entity-refused", at, "only the five predefined entities are read"));
            }
        }
        Ok(())
    }

    fn count(&mut self, at: usize) -> Result<(), DecodeError> {
        self.counted = self.counted.saturating_add(1);
        if self.counted > ELEMENTS_MAX {
            let detail = format!("a record has at most {ELEMENTS_MAX} elements and attributes");
            return Err(refused("too-many-elements", at, &detail));
        }
        Ok(())
    }

    fn text(&mut self, text: Cow<'a, str>, at: usize) -> Result<(), DecodeError> {
        match self.open.last().and_then(|open| self.nodes.get_mut(*open)) {
            Some(node) if node.text.is_empty() => node.text = text,
            // White space between children must not cost a copy of the element's text.
            Some(node) if !text.trim().is_empty() || node.first_child.is_none() => node.text.to_mut().push_str(&text),
            Some(_) => {}
            None if text.trim().is_empty() => {}
            None => return Err(malformed(at, "text stands outside the root element")),
        }
        Ok(())
    }
}

fn predefined(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

fn malformed(at: usize, detail: &str) -> DecodeError {
    refused("malformed-xml", at, detail)
}

fn refused(problem: &'static str, at: usize, detail: &str) -> DecodeError {
    DecodeError::new(problem, format!("byte {at}"), detail)
}
