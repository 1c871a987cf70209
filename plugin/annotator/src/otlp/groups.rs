//! The resource groups of a batch, one after another, for a host that passes on only those that matter.

use std::ops::Range;

use super::{
    Refusal, ResourceIdentity, identity,
    steps::Steps,
    wire::{Delimited, Message},
};

/// The `ResourceSpans`, `ResourceLogs` or `ResourceMetrics` of an export request, in their order.
///
/// Only resources are read, so it takes as long for a group of one item as for one of a thousand. After an error there is
/// nothing more.
#[derive(Clone, Debug)]
pub struct ResourceGroups<'a> {
    request: Message<'a>,
    steps: Steps,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceGroup<'a> {
    /// Where it lies in the batch, with its tag and length: these bytes are an export request of their own.
    pub range: Range<usize>,
    /// Whose it is.
    pub identity: ResourceIdentity<'a>,
}

/// Where a request has them, in all three signals.
const REQUEST_RESOURCE_GROUPS: u32 = 1;

/// Reads a request as far as behind its next resource group. Answers where that begins, with its tag, and what is in it.
#[inline]
pub(super) fn next_group<'m>(
    request: &mut Message<'m>,
    steps: &mut Steps,
) -> Result<Option<(usize, Delimited<'m>)>, Refusal> {
    while let Some(field) = request.next(steps)? {
        if let Some(group) = field.delimited(REQUEST_RESOURCE_GROUPS) {
            return Ok(Some((field.start, group)));
        }
    }
    Ok(None)
}

// === impl ResourceGroups ===

impl<'a> ResourceGroups<'a> {
    /// Those of `batch`, of whichever signal: their places are the same in all three.
    #[must_use]
    pub fn of(batch: &'a [u8]) -> Self {
        Self { request: Message::whole(batch), steps: Steps::for_batch(batch.len()) }
    }

    fn read(&mut self) -> Result<Option<ResourceGroup<'a>>, Refusal> {
        let Some((start, group)) = next_group(&mut self.request, &mut self.steps)? else { return Ok(None) };
        let identity = identity::read(group.content, &mut self.steps)?;
        Ok(Some(ResourceGroup { range: start..group.content.end(), identity }))
    }
}

impl<'a> Iterator for ResourceGroups<'a> {
    type Item = Result<ResourceGroup<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.request = Message::whole(&[]);
        }
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use faultline_test_support::{Generator, Signal};

    use super::*;

    #[test]
    fn the_groups_of_a_batch_make_up_the_batch() {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            let batch = Generator { items: 40, ..Generator::default() }.bytes(signal);
            let groups: Vec<_> = ResourceGroups::of(&batch).map(Result::unwrap).collect();
            assert!(groups.len() > 3 && groups.iter().all(|group| group.identity.service.is_some()));
            let joined: Vec<u8> = groups.iter().flat_map(|group| &batch[group.range.clone()]).copied().collect();
            assert_eq!(joined, batch);
        }
    }

    #[test]
    fn what_is_no_group_is_passed_over_and_a_fault_ends_it() {
        // A number in field 2, an empty group, another number, and a group that is cut off.
        let batch = [0x10, 1, 0x0a, 0, 0x10, 2, 0x0a, 5, 0];
        let mut groups = ResourceGroups::of(&batch);
        assert_eq!(groups.next().unwrap().unwrap().range, 2..4);
        assert_eq!(groups.next().unwrap().unwrap_err().offset, 7);
        assert_eq!(groups.next(), None);
    }
}
