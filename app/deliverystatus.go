package app

import (
	"time"

	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/resource"
)

// statusBody is what getDeliveryStatus answers. The operation is ours: Azure has
// none that tells how a subscription is doing.
type statusBody struct {
	// Circuit is Closed, Open (in probation: no attempts) or HalfOpen.
	Circuit             string         `json:"circuit"`
	ProbationEnds       *resource.Time `json:"probationEndTimeUtc,omitempty"`
	ConsecutiveFailures int            `json:"consecutiveFailures"`
	LastOutcome         string         `json:"lastDeliveryOutcome,omitempty"`
	LastStatus          int            `json:"lastHttpStatusCode,omitempty"`
	LastError           string         `json:"lastError,omitempty"`
	LastSuccess         *resource.Time `json:"lastSuccessTimeUtc,omitempty"`
	LastFailure         *resource.Time `json:"lastFailureTimeUtc,omitempty"`
	NextAttempt         *resource.Time `json:"nextAttemptNotBeforeUtc,omitempty"`
	Queued              int            `json:"queuedEvents"`
	UnderWay            int            `json:"eventsBeingDelivered"`
	Attempts            int            `json:"attemptsUnderWay"`
	Concurrency         int            `json:"concurrencyLimit"`
	Backlogged          bool           `json:"backlogged"`
	Backlog             int            `json:"backloggedEvents"`
	DeadLetters         int            `json:"deadLettersWaiting"`
	BatchLimit          int            `json:"batchLimitInBytes,omitempty"`
}

func deliveryStatus(s deliver.Status) statusBody {
	at := func(t time.Time) *resource.Time {
		if t.IsZero() {
			return nil
		}
		v := resource.Time(t)
		return &v
	}
	return statusBody{
		Circuit: string(s.Circuit), ProbationEnds: at(s.Until), ConsecutiveFailures: s.Failures,
		LastOutcome: string(s.Outcome), LastStatus: s.Status, LastError: s.Error,
		LastSuccess: at(s.Succeeded), LastFailure: at(s.Failed), NextAttempt: at(s.Again),
		Queued: s.Queued, UnderWay: s.UnderWay, Attempts: s.Attempts, Concurrency: s.Concurrency,
		Backlogged: s.Backlogged, Backlog: s.Backlog, DeadLetters: s.DeadLetters, BatchLimit: s.BatchLimit,
	}
}
