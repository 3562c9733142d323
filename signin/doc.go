// Package signin is the part of Microsoft Entra ID that programs need to get a
// token: OpenID documents, key sets, instance discovery and the token endpoint
// for client credentials.
//
// Clients of Azure reach it in two ways, and both work side by side:
//
//	/{tenant id}/v2.0/…, /{tenant id}/oauth2/…   as Entra has it
//	/adfs/…, /adfs/{name}/…                      as AD FS has it
//
// The second needs no change in any client: libraries ask Microsoft whether an
// unknown host may be trusted, except for authorities whose path starts with
// adfs. The tenant then follows from the client id.
//
// A token request passes these steps: find the principal by its client id;
// check its secret, or its assertion against its certificates; check that it
// asks for an audience this server knows; take the assertion, which is good once
// for each audience; issue. What a client is told when it is refused has Entra's
// shape and numbers, since clients print them and people search for them.
//
// The package knows principals and tokens, not what they may do.
package signin
