// Package activity tells what happened to resources: it writes the events of
// the types Microsoft.Resources.Resource{Write|Delete|Action}{Success|Failure|
// Cancel} that Azure raises for every management operation.
//
//	operation ended ─┐                                     subscription ─> system topic
//	Journal: what    ├─> Emitter: one event per resource ─<
//	the transaction ─┘            changed (document.go)    group ────────> system topic
//	put and deleted                                          (Sources)
//
// An operation raises one event for the resource it named, and one for every
// other resource that its transaction put or deleted: activating a partner
// topic writes the partner's channel, so the partner learns of it. Each event
// goes to the system topics of the subscription and the resource group in which
// its own resource lies.
//
// Two sides may meet in one transaction. An event in another subscription than
// the operation's tells that a resource changed and nothing of who did it: no
// claims, no role, no address, not even the same correlation id.
//
// An operation that ends later (an event subscription that waits for its
// endpoint's consent) raises its event then, from [Emitter.Service], and in the
// name of nobody: who began it is not kept.
//
// Events are written after the commit. A crash between the two loses them, and
// a log that refuses them is logged and counted; neither undoes the operation.
//
// The package knows no HTTP, no storage and no log; it appends through [Log].
package activity
