// Package armclient is the client that Intertie's own commands use to talk to
// an Intertie server: a token by client credentials, JSON over the management
// API, and the few calls that demo, bench, principal and subscription share.
//
// It uses the public API only, with the rights of the principal it is given,
// so whatever works here works for any Azure SDK as well. It is no replacement
// for those: it knows the handful of operations that our commands need, and
// keeps the Azure SDK out of the binary.
//
// It must know nothing of the server's inside: no store, no app, no domain
// types, only what travels over HTTP.
package armclient
