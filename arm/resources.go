package arm

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/intertie/intertie/resource"
)

// listedItem is a resource in the lists over all types: of its own members only
// those that people search by.
type listedItem struct {
	ID                string            `json:"id"`
	Name              string            `json:"name"`
	Type              string            `json:"type"`
	Location          string            `json:"location"`
	Tags              map[string]string `json:"tags,omitempty"`
	Kind              json.RawMessage   `json:"kind,omitempty"`
	SKU               json.RawMessage   `json:"sku,omitempty"`
	Plan              json.RawMessage   `json:"plan,omitempty"`
	ManagedBy         json.RawMessage   `json:"managedBy,omitempty"`
	Identity          json.RawMessage   `json:"identity,omitempty"`
	CreatedTime       *resource.Time    `json:"createdTime,omitempty"`
	ChangedTime       *resource.Time    `json:"changedTime,omitempty"`
	ProvisioningState string            `json:"provisioningState,omitempty"`
}

// tracked resources are those that have a location: they appear in the lists over
// all types, and take tags.
func tracked(r *resource.Resource) bool {
	return r.Location != "" && !hasPrefixFold(r.Type, "Microsoft.Resources/") && !hasPrefixFold(r.Type, "Microsoft.Authorization/")
}

// listResources shows the tracked resources of every type in a subscription or
// group. Who may not read there sees those that a role inside allows to read.
func (h *Handler) listResources(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope := rq.path.ID
	action := resource.TypeSubscription + "/resources/read"
	if scope.Group != "" {
		action = resource.TypeGroup + "/resources/read"
	}
	refused := h.authorize(rq, action, scope)
	if refused != nil && !h.Authorizer.AnyAt(rq.caller.ObjectID, scope.String(), rq.caller.Groups...) {
		return refused
	}
	if _, err := h.findSubscription(scope); err != nil {
		return err
	}
	if err := findGroup(readOnly{h.Store}, scope); err != nil {
		return err
	}
	matches, err := parseResourceFilter(queryParam(rq.http, "$filter"))
	if err != nil {
		return err
	}
	by := paging{defaultTop: armTop, maxTop: armTop, match: func(r *resource.Resource) bool {
		return tracked(r) && matches(r) && (refused == nil || h.Authorizer.Allowed(rq.caller.ObjectID, r.Type+"/read", r.ID.String(), rq.caller.Groups...))
	}}
	expand := strings.ToLower(queryParam(rq.http, "$expand"))
	return h.pageOf(rq, h.Store.List("", scope), by, func(r *resource.Resource) (any, error) { return listed(r, expand), nil })
}

// listed shows one resource; expand names further members, in lower case.
func listed(r *resource.Resource, expand string) listedItem {
	item := listedItem{
		ID: r.ID.String(), Name: r.ID.Name(), Type: r.Type, Location: r.Location, Tags: r.Tags, Identity: r.Identity,
		Kind: r.Extra["kind"], SKU: r.Extra["sku"], Plan: r.Extra["plan"], ManagedBy: r.Extra["managedBy"],
	}
	created, changed := resource.Time(r.CreatedAt), resource.Time(r.ModifiedAt)
	if strings.Contains(expand, "createdtime") {
		item.CreatedTime = &created
	}
	if strings.Contains(expand, "changedtime") {
		item.ChangedTime = &changed
	}
	if strings.Contains(expand, "provisioningstate") {
		item.ProvisioningState = provisioningState(r)
	}
	return item
}

// refuseMove answers that resources cannot be moved: their id is what event logs,
// roles and the other side of a channel know them by.
func (h *Handler) refuseMove(rq *request) error {
	if err := h.only(rq, http.MethodPost); err != nil {
		return err
	}
	if err := h.authorize(rq, resource.TypeGroup+"/"+rq.path.Tail+"/action", rq.path.ID); err != nil {
		return err
	}
	return resource.Errorf(resource.MoveNotSupported,
		"This server does not move resources to another resource group or subscription. Create them anew in the group where they belong, and delete the old ones.")
}
