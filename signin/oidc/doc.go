// Package oidc accepts bearer tokens of other OpenID Connect issuers beside those
// that this server issues itself.
//
//	token ─> issuer by its iss ─> key by its kid ─> signature ─> claims ─> access.Claims
//	                                   └─ unknown: the key set is fetched again
//
// An issuer's keys are found by discovery and kept. They are fetched again every
// hour by [Issuers.Run], and at once when a token names a key that is not among
// them, but not more often than every ten seconds: who sends tokens with invented
// key ids makes nobody wait and nobody fetch. While an issuer is down its keys
// stay good for a day; tokens of everybody else are checked without it.
//
// A principal of another issuer gets an object id that roles can be assigned to;
// see [Options] for where it comes from.
//
// The package knows what tokens say, not what their principals may do. That an
// issuer speaks for its own principals only is seen to by [access.Tokens], which
// asks here about tokens it did not issue.
package oidc
