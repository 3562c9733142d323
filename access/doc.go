// Package access answers who may do what.
//
// There are two ways to prove who one is, and they never mix:
//
//   - An access key, or a SAS token signed with one, belongs to a single topic
//     or namespace. [VerifyKey] and [VerifySAS] check them against the two keys
//     of that resource; nothing else is needed.
//   - A bearer token names a principal. [Tokens] issues it at sign-in, after
//     the principal showed a secret ([VerifySecret]) or signed an assertion
//     ([VerifyAssertion]), which [Assertions] takes once, and verifies it on
//     every request. What the principal may do is then one question to the
//     [Authorizer]: is this action allowed at this scope by the roles assigned
//     there or above? Without an assignment the answer is no.
//
// Issuers elsewhere may be accepted beside this server; [Tokens] asks for them
// only about tokens it did not sign itself. Their principals bring groups along,
// whose roles count as well.
//
// The package keeps no state of its own beyond snapshots: signing keys,
// principals, roles and assignments are stored by the caller. It knows no
// transport, no storage and no resource kind; a scope is only a path of
// segments, an action only a string.
package access
