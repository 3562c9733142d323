// Package arm serves the management API: Azure Resource Manager's conventions
// around the kinds of package eventgrid, and the small part of ARM itself that
// clients need (subscriptions, resource groups, providers, roles, tags, locks).
//
// Every request takes the same steps, in this order, and no kind can skip one:
//
//	identify     path → scope, type, names, collection or action   (package resource)
//	authenticate bearer token → principal                          authenticate.go
//	authorize    role assignments at the scope and above           engine.go
//	find         subscription, provider registration, group, parent
//	locate       address → what is stored, and as what             address.go
//	decode       body → new version, by the kind's own rules
//	commit       unless locked; all or nothing                     locks.go (package store)
//	answer       the code that the strictest client demands        respond.go
//	tell         events of what the request changed                activity.go
//	record       who did what, with which result                   audit.go
//
// An event subscription has two addresses: nested in its topic, and as an
// extension of the source of its events. Both lead to one stored resource; which
// of them was used decides the action that roles must allow, and the id, name and
// type of the answer. Lists by source, location or topic type show the second.
//
// A resource of any other provider is a record that is kept as it was sent, by a
// kind made for its type (foreign.go). It takes the same way as all others.
//
// What stands at the root of the tenant, such as the gallery of partners, needs a
// valid token to be read and a role at the root to be changed (tenant.go). Types
// that nobody stores are read by one rule for all (derived.go).
//
// Authorization comes before any look at what exists, so the answer to a
// stranger is the same whether a resource is there or not.
//
// A template deployment is a list of such requests, which the server makes in the
// name of whoever started it: see deployments.go.
//
// The package knows nothing of publishing and delivery; those follow the store.
package arm
