// Package armfake is a server for tests of what talks to Intertie: sign-in, a
// directory, and a management API that stores whatever is put into it. It
// checks nothing but the token, so it says how a client behaves, not whether
// the server is right; that is for tests against the real one.
package armfake
