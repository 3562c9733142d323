// Package eventgrid holds the rules of Event Grid's resources: what each may
// look like, what it demands of others, and what changes together.
//
// Each kind is one declaration in one file; [Rules.Kinds] lists them. The
// engine of package arm serves them all: it authenticates, authorizes, finds
// the scope and writes, so a kind cannot forget one of these steps.
//
// The partner flow, as the kinds play it:
//
//	partner                                   customer
//	partnerRegistrations   (who)
//	partnerNamespaces      (endpoint, keys)   partnerConfigurations (whom I trust)
//	channels  ── creates, if trusted ──────>  partnerTopics  NeverActivated
//	                                          partnerTopics/activate
//	publish ── routed by channel ──────────>  partnerTopics/eventSubscriptions
//
// Channel and partner topic are written in one transaction, always: one never
// exists, changes or goes without the other.
//
// The package knows no HTTP and no storage. It asks the outside world through
// the small interfaces in [Rules].
package eventgrid
