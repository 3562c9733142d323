// Package eventgrid holds the rules of Event Grid's resources: what each may
// look like, what it demands of others, and what changes together.
//
// Each kind is one declaration in one file; [Rules.Kinds] lists them, and nothing
// else has to know of a new one. The engine of package arm serves them all: it
// authenticates, authorizes, finds the scope and writes, so a kind cannot forget
// one of these steps.
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
//	channels  ── creates, if trusted ──────>  partnerDestinations  NeverActivated
//	  (of type PartnerDestination)            partnerDestinations/activate
//	the endpoint in the channel  <──────────  eventSubscriptions of any topic
//
// A channel and its mirror, the partner topic or partner destination, are written
// in one transaction, always: one never exists, changes or goes without the other.
//
// A kind of destination of event subscriptions is one declaration as well
// (destination.go). [DestinationOf] tells the data plane all that it needs of any.
// What nobody stores but follows from other resources is declared in derived.go,
// and the catalogue of operations follows from all of these (operations.go).
//
// Five kinds are topics that event subscriptions live in: custom topics, domains,
// domain topics, system topics and partner topics. Their event subscriptions have
// the same rules and are declared once (family.go). The extension form of an event
// subscription, on any scope, is another way to the one stored in a topic; [Home]
// finds it and [Rules.MakeHome] makes it:
//
//	{topic}/…/eventSubscriptions/{name}               ─┐
//	{domain topic}/…  created with the first,          ├─> {topic}/eventSubscriptions/{name}
//	                  gone with the last               │
//	{subscription, group, storage account}/…          ─┘   its system topic, hidden if
//	                                                       nobody made it before
//
// The package knows no HTTP and no storage. It asks the outside world through
// the small interfaces in [Rules].
package eventgrid
