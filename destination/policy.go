package destination

import "time"

// Policy says what an outcome means for the event and for its endpoint.
type Policy struct {
	// Retry is false when the event is finished: dead-lettered, dropped or,
	// for Delivered, done.
	Retry bool
	// Earliest is the shortest wait before the next attempt.
	Earliest time.Duration
	// Probation is how long the endpoint is left alone after this outcome, 0 for
	// not at all.
	Probation time.Duration
}

// Rules holds the part of the policy that an operator may choose. The zero
// value is the default.
type Rules struct {
	// RetryWebhookNotFound treats the 404 of a webhook like that of an Azure
	// resource: retried after 5 minutes. Azure's documents changed their mind
	// about it; the default is the stricter reading, no retry.
	RetryWebhookNotFound bool
}

// Policy returns the default policy for an outcome; see [Rules.Policy].
func (k Kind) Policy(o Outcome) Policy { return Rules{}.Policy(k, o) }

// Policy returns Azure's documented reaction to outcome o of a destination of
// kind k. An outcome outside the closed set is treated as GenericError, so that
// nothing unknown can make an event disappear.
func (r Rules) Policy(k Kind, o Outcome) Policy {
	p, ok := policies[o]
	if !ok {
		p = policies[GenericError]
	}
	if !k.webhookRules() {
		return p.resource
	}
	if o == NotFound && r.RetryWebhookNotFound {
		return p.resource
	}
	return p.webhook
}

// columns are the two halves of the documented table.
type columns struct{ webhook, resource Policy }

// same is a row in which both kinds of destination agree.
func same(p Policy) columns { return columns{webhook: p, resource: p} }

// policies is Azure's retry table. Rows that the documents leave out for
// webhooks (Disabled, Full …) carry the value of the resource column: a webhook
// never yields them. Canceled and Delivered end the event; Probation and
// Aborted made no attempt that could blame the endpoint, so they wait for
// nothing.
var policies = map[Outcome]columns{
	Delivered:       same(Policy{}),
	BadRequest:      same(Policy{}),
	PayloadTooLarge: same(Policy{}),
	Forbidden:       same(Policy{Probation: 5 * time.Minute}),
	Unauthorized: {
		webhook:  Policy{Probation: 5 * time.Minute},
		resource: Policy{Retry: true, Earliest: 5 * time.Minute, Probation: 5 * time.Minute},
	},
	NotFound: {
		webhook:  Policy{Probation: 5 * time.Minute},
		resource: Policy{Retry: true, Earliest: 5 * time.Minute, Probation: 5 * time.Minute},
	},
	TimedOut:        same(Policy{Retry: true, Earliest: 10 * time.Second, Probation: 10 * time.Second}),
	Busy:            same(Policy{Retry: true, Earliest: 10 * time.Second, Probation: 10 * time.Second}),
	GenericError:    same(Policy{Retry: true, Earliest: 10 * time.Second}),
	SocketError:     same(Policy{Retry: true, Earliest: 10 * time.Second, Probation: 30 * time.Second}),
	ResolutionError: same(Policy{Retry: true, Earliest: 10 * time.Second, Probation: 5 * time.Minute}),
	Disabled:        same(Policy{Retry: true, Earliest: 10 * time.Second, Probation: 5 * time.Minute}),
	Full:            same(Policy{Retry: true, Earliest: 10 * time.Second, Probation: 5 * time.Minute}),
	InvalidAzureFunctionDestination: same(Policy{
		Retry: true, Earliest: 10 * time.Second, Probation: 10 * time.Minute,
	}),
	// A queue does not stop asking for sessions by waiting 10 s, but its owner
	// may replace it within the life of the event.
	SessionQueueNotSupported: same(Policy{Retry: true, Earliest: 5 * time.Minute, Probation: 5 * time.Minute}),
	Probation:                same(Policy{Retry: true}),
	Aborted:                  same(Policy{Retry: true}),
	Delivering:               same(Policy{Retry: true}),
	Canceled:                 same(Policy{}),
}
