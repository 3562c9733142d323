package activity

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// happening is what one event tells: one resource, one end.
type happening struct {
	resource    resource.ID
	verb        Verb
	outcome     Outcome
	action      string
	at          time.Time
	correlation string
	// nil where nobody asked for it, or where it is none of the reader's business.
	caller  *access.Claims
	grant   *access.Grant
	request *Request
}

// document is the data of an event.
type document struct {
	Authorization  authorization     `json:"authorization"`
	Claims         map[string]string `json:"claims"`
	CorrelationID  string            `json:"correlationId"`
	Request        *Request          `json:"httpRequest,omitempty"`
	Provider       string            `json:"resourceProvider"`
	ResourceURI    string            `json:"resourceUri"`
	OperationName  string            `json:"operationName"`
	Status         string            `json:"status"`
	SubscriptionID string            `json:"subscriptionId"`
	TenantID       string            `json:"tenantId"`
}

type authorization struct {
	Scope    string   `json:"scope"`
	Action   string   `json:"action"`
	Evidence evidence `json:"evidence"`
}

// evidence is empty where no role decided.
type evidence struct {
	Role             string `json:"role,omitempty"`
	AssignmentScope  string `json:"roleAssignmentScope,omitempty"`
	AssignmentID     string `json:"roleAssignmentId,omitempty"`
	RoleDefinitionID string `json:"roleDefinitionId,omitempty"`
	PrincipalID      string `json:"principalId,omitempty"`
	PrincipalType    string `json:"principalType,omitempty"`
}

func evidenceOf(g *access.Grant) evidence {
	if g == nil {
		return evidence{}
	}
	return evidence{
		Role: g.Role, AssignmentScope: g.Scope, AssignmentID: lastSegment(g.ID), RoleDefinitionID: lastSegment(g.RoleID),
		PrincipalID: g.PrincipalID, PrincipalType: g.PrincipalType,
	}
}

func lastSegment(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// timeLayout has the seven digits of the service's own events.
const timeLayout = "2006-01-02T15:04:05.0000000Z"

// dataVersion is the version of the data that readers of these events know.
const dataVersion = "2"

// subject is the id of the resource. Parts of it come from clients, and JSON is
// UTF-8.
func (h *happening) subject() string { return strings.ToValidUTF8(h.resource.String(), "\uFFFD") }

// data returns the part of the event that is the same for every listener.
func (h *happening) data(tenant string) ([]byte, error) {
	uri := h.subject()
	provider, _, _ := strings.Cut(h.action, "/")
	d := document{
		Authorization: authorization{Scope: uri, Action: h.action, Evidence: evidenceOf(h.grant)},
		Claims:        map[string]string{}, CorrelationID: h.correlation, Request: h.request,
		Provider: provider, ResourceURI: uri, OperationName: h.action, Status: h.outcome.status(),
		SubscriptionID: h.resource.Subscription, TenantID: tenant,
	}
	if h.caller != nil {
		d.Claims = h.caller.Map()
	}
	return json.Marshal(d)
}

// event returns the event for one listener.
func (h *happening) event(id string, l listener, data []byte) (event.Event, error) {
	e, err := event.NewGrid(event.Grid{
		ID: id, Topic: l.source, Subject: h.subject(), Type: fmt.Sprintf("Microsoft.Resources.Resource%s%s", h.verb, h.outcome),
		Time: h.at.UTC().Format(timeLayout), Data: data, DataVersion: dataVersion,
	})
	if err != nil {
		return event.Event{}, fmt.Errorf("write the event of %s: %w", h.resource, err)
	}
	return e, nil
}
