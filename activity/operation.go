package activity

import (
	"encoding/json"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// Verb is the kind of an operation, as event types name it.
type Verb string

// The verbs: PUT and PATCH write, POST acts.
const (
	Write  Verb = "Write"
	Delete Verb = "Delete"
	Action Verb = "Action"
)

// Outcome is how an operation ended, as event types name it.
type Outcome string

// The outcomes. Cancel is an operation that the client gave up.
const (
	Success Outcome = "Success"
	Failure Outcome = "Failure"
	Cancel  Outcome = "Cancel"
)

// status is what data.status says of an outcome.
func (o Outcome) status() string {
	switch o {
	case Failure:
		return "Failed"
	case Cancel:
		return "Canceled"
	default:
		return "Succeeded"
	}
}

// Operation is one management operation that has ended, and had been allowed:
// what a stranger was refused is no event.
type Operation struct {
	// Resource is what was operated on, by the id that the client used. Stored
	// is the id that the store knows it by, where that is another one.
	Resource, Stored resource.ID
	Verb             Verb
	// Action is the operation as roles name it, for example
	// Microsoft.EventGrid/topics/write.
	Action  string
	Outcome Outcome
	Ended   time.Time
	// Created is set for a write whose resource did not exist before.
	Created       bool
	CorrelationID string // GUID
	Caller        access.Claims
	Grant         access.Grant // by which the caller was allowed
	Request       Request
}

// Request is how an operation came in.
type Request struct {
	ID      string `json:"clientRequestId"` // the client's own; may be empty
	Address string `json:"clientIpAddress"`
	Method  string `json:"method"`
	URL     string `json:"url"`
}

// stored returns the id that changes of the operation's own resource carry.
func (o *Operation) stored() resource.ID {
	if o.Stored.IsRoot() {
		return o.Resource
	}
	return o.Stored
}

// ended says what to tell of a change: how it ended, or that it has not yet.
func (c Change) ended() (Outcome, bool) {
	if c.New == nil {
		return Success, true
	}
	switch provisioningState(c.New) {
	case "Creating", "Updating", "Deleting", "AwaitingManualAction", "Accepted", "Running":
		return "", false
	case "Failed":
		// A later change of a resource that failed once is not a failure.
		if c.Old != nil && provisioningState(c.Old) == "Failed" {
			return Success, true
		}
		return Failure, true
	}
	return Success, true
}

func (c Change) resource() *resource.Resource {
	if c.New == nil {
		return c.Old
	}
	return c.New
}

func (c Change) verb() Verb {
	if c.New == nil {
		return Delete
	}
	return Write
}

func (c Change) action() string {
	if c.New == nil {
		return c.Old.Type + "/delete"
	}
	return c.New.Type + "/write"
}

func provisioningState(r *resource.Resource) string {
	var p struct {
		State string `json:"provisioningState"`
	}
	if json.Unmarshal(r.Properties, &p) != nil {
		return "" // not a property bag with a state: nothing to wait for
	}
	return p.State
}
