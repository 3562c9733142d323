package destination

import (
	"net/http"
	"time"
)

// Outcome says how an attempt ended. The set is closed, so it may label a
// metric; the texts are those that Azure writes to lastDeliveryOutcome.
type Outcome string

const (
	// Delivered means that the destination took the events.
	Delivered Outcome = "Delivered"

	BadRequest                      Outcome = "BadRequest"
	Unauthorized                    Outcome = "Unauthorized"
	Forbidden                       Outcome = "Forbidden"
	NotFound                        Outcome = "NotFound"
	PayloadTooLarge                 Outcome = "PayloadTooLarge"
	TimedOut                        Outcome = "TimedOut"
	Busy                            Outcome = "Busy"
	GenericError                    Outcome = "GenericError"
	SocketError                     Outcome = "SocketError"
	ResolutionError                 Outcome = "ResolutionError"
	Disabled                        Outcome = "Disabled"
	Full                            Outcome = "Full"
	InvalidAzureFunctionDestination Outcome = "InvalidAzureFunctionDestination"
	SessionQueueNotSupported        Outcome = "SessionQueueNotSupported"

	// Probation is given to an event without an attempt, because its endpoint
	// was considered unhealthy.
	Probation Outcome = "Probation"
	// Canceled means that the subscription went away before the attempt ended.
	Canceled Outcome = "Canceled"
	// Aborted means that the server gave up the attempt, for instance because it
	// shuts down. It says nothing about the endpoint.
	Aborted Outcome = "Aborted"
	// Delivering means that an attempt is under way.
	Delivering Outcome = "Delivering"
)

// Outcomes returns the closed set, Delivered first.
func Outcomes() []Outcome {
	return []Outcome{
		Delivered, BadRequest, Unauthorized, Forbidden, NotFound, PayloadTooLarge, TimedOut, Busy, GenericError,
		SocketError, ResolutionError, Disabled, Full, InvalidAzureFunctionDestination, SessionQueueNotSupported,
		Probation, Canceled, Aborted, Delivering,
	}
}

// FromStatus translates the status code of an HTTP answer. Success is exactly
// 200 to 204; a redirect is a failure like any other code that is not named.
//
// The duration is for [Verdict.After]: 408 and 503 share an outcome with
// failures that may be retried sooner, so the part that only they ask for
// travels with the verdict.
func FromStatus(status int) (Outcome, time.Duration) {
	switch status {
	case 200, 201, 202, 203, 204:
		return Delivered, 0
	case http.StatusBadRequest:
		return BadRequest, 0
	case http.StatusUnauthorized:
		return Unauthorized, 0
	case http.StatusForbidden:
		return Forbidden, 0
	case http.StatusNotFound:
		return NotFound, 0
	case http.StatusRequestTimeout:
		return TimedOut, 2 * time.Minute
	case http.StatusRequestEntityTooLarge:
		return PayloadTooLarge, 0
	case http.StatusTooManyRequests:
		return Busy, 0
	case http.StatusServiceUnavailable:
		return Busy, 30 * time.Second
	default:
		return GenericError, 0
	}
}
