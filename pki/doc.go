// Package pki keeps the local certificate authority and the server certificate
// of an installation that was given none.
//
// Clients trust the authority's certificate (ca.pem), so that verification
// stays on everywhere; the server certificate beneath it is short-lived and is
// issued anew whenever it nears its end or a host name is missing from it.
// [Ensure] is called at every start and is cheap when nothing has to change.
//
// Files in the folder:
//
//	ca.pem          the authority's certificate, for clients to trust
//	ca-key.pem      the authority's certificate and key, 0600: the truth that
//	                ca.pem is a copy of
//	server.pem      the server certificate
//	server-key.pem  its key, 0600
//
// The package knows files and X.509. It must not know HTTP, the configuration
// file, or what the names are used for.
package pki
