// Package filter decides which event subscriptions want an event, and reads by
// the same keys what a subscription wants to know of one.
//
// It implements Event Grid's filters: event types, subject prefix and suffix,
// and the nineteen operators of advanced filters.
//
//	Spec      what a user wrote, in the shape of the management API
//	Compile   checks every limit and operand once, and refuses with an *Error
//	Filter    the compiled form; answers for one event
//	Index     many filters at once; the cost follows what matches
//	Fields    the values that an event has at some keys
//
// # How an event is matched
//
// An [Index] files each filter under the one condition that the fewest events
// are expected to meet: an event type, the start or end of the subject, a
// value of a key, a range that a key lies in, or at least a key that must be
// present. An event looks itself up in each of these tables; what it finds
// there are candidates, and every candidate is then checked in full. Filters
// that no table can hold, such as those with nothing but negative operators,
// are checked for each event.
//
// The event's JSON is read at most once per match, and only when a condition
// asks for a key. The keys of all filters form one trie; a scan over the bytes
// follows the trie, keeps the few values that somebody asked for and skips the
// rest without decoding it.
//
// # Rules that are easy to get wrong
//
//   - A null is the same as an absent key, for every operator.
//   - With the key absent, NumberNotIn, NumberNotInRange and StringNotIn hold,
//     while the other negative operators do not.
//   - A value of another type fails positive operators and passes negative ones.
//   - An array counts as an absent key unless the filter enables arrays.
//     IsNotNull and IsNullOrUndefined then look at the key and not at the
//     elements: an empty array is not null.
//   - Text compares by simple Unicode case folding, without a locale. Only
//     isSubjectCaseSensitive changes that, and only for the two subject filters.
//   - Integers of any size compare exactly, other numbers as IEEE doubles.
//
// These rules are the same for every schema: an event of a custom schema comes
// here in the Event Grid schema, with the publisher's object as its data.
//
// The package knows the bytes of an event and nothing about topics,
// subscriptions, transports or storage.
package filter
