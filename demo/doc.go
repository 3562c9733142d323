// Package demo plays the whole story of Intertie in a few seconds: a partner
// publishes orders, two customers who know nothing of each other receive
// theirs, and at the end everything is counted.
//
// The cast works over the public API alone, each with a principal that may do
// nothing outside its own Azure subscription:
//
//	operator   starts the server, creates subscriptions and principals
//	partner    registers, opens a namespace, creates a channel per customer, publishes
//	customer   authorizes the partner, activates the topic, subscribes webhooks
//
// Every event carries an id that the ledger knows before it is sent, together
// with the one webhook whose filter lets it through. What has not arrived at
// the end is lost, what arrived where it should not is misrouted, and either
// makes [Run] fail.
//
// It must not know how the server is built: [Server] is all it sees of it.
package demo
