// Package graph is the small part of Microsoft Graph in which service
// principals are made and found: applications, servicePrincipals and
// directoryObjects/getByIds, below /graph/v1.0.
//
// The Azure CLI and the SDKs use it to make a client with a secret or a
// certificate, and to turn a client id into the object id that roles are
// assigned to. In Graph an application and its service principal are two
// objects, made by two calls. Here they are two views of one
// [access.ServicePrincipal], which is pending between the calls.
//
// Every request needs a bearer token for the graph or the management API, and
// the right to read or write principals at the root scope. So an Owner of
// everything may, while an Owner of one subscription may not: a directory is
// shared by all who have subscriptions here, partners and customers alike.
//
// The package knows no storage; see [Directory].
package graph
