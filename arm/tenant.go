package arm

import (
	"net/http"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// What stands at the root of the tenant is the same for everyone: a valid token
// is all that it takes to read it. Only what the operator has not released, and
// what belongs to somebody, is shown by role.

const (
	typeOperations = eventgrid.Namespace + "/operations"
	// registrationsVersion is the one in which partner registrations could be
	// listed without naming a subscription.
	registrationsVersion = "2020-04-01-preview"
)

// authority is the scope at which roles are asked about an address. What is in
// the tenant is governed by the roles at its root.
func (a address) authority() resource.ID {
	if a.kind.Place == resource.InTenant {
		return resource.ID{}
	}
	return a.id
}

// mayRead lets a caller read resources of a kind, one or those in a scope.
func (h *Handler) mayRead(rq *request, kind *resource.Kind, scope resource.ID) error {
	if kind.Place == resource.InTenant {
		return nil
	}
	return h.authorize(rq, kind.Type+"/read", scope)
}

// operates reports whether the caller may change resources of a kind of the
// tenant: then all of them are shown.
func (h *Handler) operates(rq *request, kind *resource.Kind) bool {
	return h.Authorizer.Allowed(rq.caller.ObjectID, kind.Type+"/write", resource.ID{}.String(), rq.caller.Groups...)
}

// hidden reports whether a resource does not exist for the caller: an entry of
// the gallery that is not verified, for all who do not keep the gallery.
func (h *Handler) hidden(rq *request, kind *resource.Kind, r *resource.Resource) (bool, error) {
	if kind.Type != eventgrid.TypeVerifiedPartner || h.operates(rq, kind) {
		return false, nil
	}
	p, err := resource.Properties[eventgrid.VerifiedPartner](r)
	if err != nil {
		return false, err
	}
	return !p.IsVerified(), nil
}

// existing lists the resources of a kind in a scope that exist for the caller.
func (h *Handler) existing(rq *request, kind *resource.Kind, scope resource.ID) []*resource.Resource {
	if kind.Type == eventgrid.TypeVerifiedPartner && !h.operates(rq, kind) {
		return eventgrid.VerifiedPartners(h.Store)
	}
	return h.Store.List(kind.Type, scope)
}

// isOperations reports whether a request is for the list of operations.
func isOperations(rq *request) bool {
	return rq.path.ID.IsRoot() && strings.EqualFold(rq.path.Namespace+"/"+rq.path.Tail, typeOperations)
}

// listOperations shows the catalogue of operations.
func (h *Handler) listOperations(rq *request) error {
	if err := h.checkCatalogue(rq); err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": h.Rules.Operations()})
	return nil
}

// areAllRegistrations reports whether a request is for the partner registrations
// of all subscriptions, which one api-version could list.
func areAllRegistrations(rq *request) bool {
	return rq.path.ID.IsRoot() && strings.EqualFold(rq.version, registrationsVersion) &&
		strings.EqualFold(rq.path.Namespace+"/"+rq.path.Tail, eventgrid.TypePartnerRegistration)
}

// listAllRegistrations shows those partner registrations that a role lets the
// caller read, wherever they are.
func (h *Handler) listAllRegistrations(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	kind, err := h.kindOf(eventgrid.TypePartnerRegistration, rq.version)
	if err != nil {
		return err
	}
	var readable []*resource.Resource
	for _, r := range h.Store.List(kind.Type, resource.ID{}) {
		if h.Authorizer.Allowed(rq.caller.ObjectID, kind.Type+"/read", r.ID.String(), rq.caller.Groups...) {
			readable = append(readable, r)
		}
	}
	return h.page(rq, readable, func(r *resource.Resource) (any, error) { return h.present(rq, kind, r, resource.ID{}) })
}
