package arm

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	maxAssignmentDescription = 1024

	codePrincipalType resource.Code = "UnmatchedPrincipalType"
)

// RoleAssignment is the properties of a role assignment.
type RoleAssignment struct {
	Scope            string        `json:"scope"`
	RoleDefinitionID string        `json:"roleDefinitionId"`
	PrincipalID      string        `json:"principalId"`
	PrincipalType    string        `json:"principalType"`
	Description      *string       `json:"description"`
	Condition        *string       `json:"condition"`
	ConditionVersion *string       `json:"conditionVersion"`
	CreatedOn        resource.Time `json:"createdOn"`
	UpdatedOn        resource.Time `json:"updatedOn"`
	CreatedBy        string        `json:"createdBy"`
	UpdatedBy        string        `json:"updatedBy"`
}

// NewRoleAssignment returns a role assignment that can be put into the store.
func NewRoleAssignment(scope resource.ID, name, role, principal string, now resource.Time, by string) (*resource.Resource, error) {
	r := &resource.Resource{
		ID: scope.Provider(resource.TypeRoleAssignment, name), UID: resource.NewUID(), Type: resource.TypeRoleAssignment,
		CreatedAt: now.Std(), CreatedBy: by, ModifiedAt: now.Std(), ModifiedBy: by,
	}
	return r, resource.Encode(r, &RoleAssignment{
		Scope: scope.String(), RoleDefinitionID: roleDefinitionID(scope, role), PrincipalID: principal, PrincipalType: "ServicePrincipal",
		CreatedOn: now, UpdatedOn: now, CreatedBy: by, UpdatedBy: by,
	})
}

// AssignmentOf turns a stored role assignment into what decisions are made by.
func AssignmentOf(r *resource.Resource) (access.Assignment, error) {
	p, err := resource.Properties[RoleAssignment](r)
	if err != nil {
		return access.Assignment{}, err
	}
	return access.Assignment{
		ID: r.ID.String(), Scope: r.ID.Scope().String(), RoleID: p.RoleDefinitionID, PrincipalID: p.PrincipalID, PrincipalType: p.PrincipalType,
	}, nil
}

func roleDefinitionID(scope resource.ID, role string) string {
	at := resource.ID{}
	if scope.Subscription != "" {
		at = resource.SubscriptionID(scope.Subscription)
	}
	return at.Provider(TypeRoleDefinition, role).String()
}

func presentAssignment(r *resource.Resource) (any, error) {
	p, err := resource.Properties[RoleAssignment](r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": r.ID.String(), "name": r.ID.Name(), "type": resource.TypeRoleAssignment, "properties": p}, nil
}

// listRoleAssignments shows what is assigned at the scope, above it, and,
// unless the filter says atScope(), below it. By assignedTo, an object id also
// has what its groups have, as far as they are known: those of the caller are.
func (h *Handler) listRoleAssignments(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope, err := h.roleScope(rq.path.ID)
	if err != nil {
		return err
	}
	if err := h.authorize(rq, resource.TypeRoleAssignment+"/read", scope); err != nil {
		return err
	}
	filter, err := parseRoleFilter(queryParam(rq.http, "$filter"), assignmentTerms)
	if err != nil {
		return err
	}
	var assignees []string
	if who, ok := filter[termAssignedTo]; ok {
		assignees = []string{who}
		if strings.EqualFold(who, rq.caller.ObjectID) {
			assignees = append(assignees, rq.caller.Groups...)
		}
	}
	value := []any{}
	shown := slices.DeleteFunc(h.Store.List(resource.TypeRoleAssignment, resource.ID{}), func(r *resource.Resource) bool {
		at := r.ID.Scope()
		return !within(scope, at) && (filter.has(termAtScope) || !within(at, scope))
	})
	for r, p := range eachReadable[RoleAssignment](h.Logger, shown) {
		if !filter.allows(termPrincipal, p.PrincipalID) || filter.has(termAssignedTo) && !anyFold(p.PrincipalID, assignees...) {
			continue
		}
		v, err := presentAssignment(r)
		if err != nil {
			return err
		}
		value = append(value, v)
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

// within reports whether id is scope or lies in it.
func within(id, scope resource.ID) bool {
	if scope.IsRoot() {
		return true
	}
	a, b := id.Key(), scope.Key()
	return strings.HasPrefix(a, b) && (len(a) == len(b) || a[len(b)] == '/')
}

func (h *Handler) serveRoleAssignment(rq *request) error {
	verb, ok := verbs[rq.http.Method]
	if !ok || rq.http.Method == http.MethodPatch {
		return h.methodNotAllowed(rq, "GET, PUT, DELETE")
	}
	scope, err := h.roleScope(rq.path.ID.Scope())
	if err != nil {
		return err
	}
	id := scope.Provider(resource.TypeRoleAssignment, rq.path.ID.Name())
	if err := h.authorize(rq, resource.TypeRoleAssignment+"/"+verb, scope); err != nil {
		return err
	}
	rq.concerns(id, id)
	if scope.Subscription != "" {
		if _, err := h.findSubscription(scope); err != nil {
			return err
		}
	}
	switch rq.http.Method {
	case http.MethodPut:
		return h.putRoleAssignment(rq, id)
	case http.MethodDelete:
		return h.deleteRoleAssignment(rq, id)
	}
	r, ok := h.Store.Get(id)
	if !ok {
		return resource.Errorf(resource.RoleAssignmentNotFound, "The role assignment '%s' is not found.", id.Name())
	}
	return writePresented(rq, http.StatusOK, r, presentAssignment)
}

func writePresented(rq *request, status int, r *resource.Resource, present func(*resource.Resource) (any, error)) error {
	v, err := present(r)
	if err != nil {
		return err
	}
	writeJSON(rq.out, status, v)
	return nil
}

func (h *Handler) putRoleAssignment(rq *request, id resource.ID) error {
	next, err := h.readRoleAssignment(rq, id)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	var written *resource.Resource
	err = h.commit(rq, func(tx resource.Tx) error {
		status, rq.created = http.StatusCreated, true
		if err := checkScope(tx, id.Scope()); err != nil {
			return err
		}
		if err := next.nameRole(tx, id.Scope()); err != nil {
			return err
		}
		for other, p := range eachReadable[RoleAssignment](h.Logger, assignedAt(tx, id.Scope())) {
			same := strings.EqualFold(p.PrincipalID, next.PrincipalID) && roleGUID(p.RoleDefinitionID) == roleGUID(next.RoleDefinitionID)
			switch {
			case other.ID.Equal(id) && same:
				status, rq.created = http.StatusOK, false
				var err error
				written, err = describe(tx, other, p, next)
				return err
			case other.ID.Equal(id):
				rq.created = false
				return resource.Errorf(resource.RoleAssignmentFixed, "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")
			case same:
				return resource.Errorf(resource.RoleAssignmentExists, "The role assignment already exists.")
			}
		}
		written = &resource.Resource{
			ID: id, UID: resource.NewUID(), Type: resource.TypeRoleAssignment,
			CreatedAt: rq.now, CreatedBy: rq.caller.ObjectID, ModifiedAt: rq.now, ModifiedBy: rq.caller.ObjectID,
		}
		if err := resource.Encode(written, next); err != nil {
			return err
		}
		tx.Put(written)
		return nil
	})
	if err != nil {
		return err
	}
	return writePresented(rq, status, written, presentAssignment)
}

// assignedAt returns the assignments at a scope, without those below it.
func assignedAt(tx resource.Tx, scope resource.ID) []*resource.Resource {
	prefix := scope.Provider(resource.TypeRoleAssignment, "").Key()
	return slices.DeleteFunc(tx.List(resource.TypeRoleAssignment, scope), func(r *resource.Resource) bool { return !strings.HasPrefix(r.ID.Key(), prefix) })
}

// checkScope refuses a scope that is not there. What belongs to providers other
// than ours cannot be known, so it passes.
func checkScope(tx resource.Tx, scope resource.ID) error {
	if scope.Subscription != "" {
		if _, ok := tx.Get(resource.SubscriptionID(scope.Subscription)); !ok {
			return subscriptionNotFound(scope)
		}
	}
	if scope.Group != "" {
		if _, ok := tx.Get(scope.GroupScope()); !ok {
			return groupNotFound(scope)
		}
	}
	if !strings.EqualFold(scope.Namespace, eventgrid.Namespace) {
		return nil
	}
	if _, ok := tx.Get(scope); !ok {
		return notFound(scope)
	}
	return nil
}

func (h *Handler) readRoleAssignment(rq *request, id resource.ID) (*RoleAssignment, error) {
	if _, err := uuid.Parse(id.Name()); err != nil {
		return nil, resource.Errorf(resource.InvalidRoleAssignmentID, "The role assignment ID '%s' is not valid. The role assignment ID must be a GUID.", id.Name())
	}
	raw, err := rq.bodyOf(smallBody)
	if err != nil {
		return nil, err
	}
	var body struct {
		Properties RoleAssignment `json:"properties"`
	}
	if err := resource.DecodeBody(raw, &body); err != nil {
		return nil, err
	}
	p := body.Properties
	if p.Condition != nil && *p.Condition != "" {
		return nil, resource.Invalid("Conditions on role assignments are not offered by this server.")
	}
	if p.Description != nil && utf8.RuneCountInString(*p.Description) > maxAssignmentDescription {
		return nil, resource.Invalid("The property 'description' has at most %d characters.", maxAssignmentDescription)
	}
	if err := h.checkPrincipal(&p); err != nil {
		return nil, err
	}
	p.Scope = id.Scope().String()
	p.CreatedOn, p.UpdatedOn = resource.Time(rq.now), resource.Time(rq.now)
	p.CreatedBy, p.UpdatedBy = rq.caller.ObjectID, rq.caller.ObjectID
	return &p, nil
}

// describe writes what of an assignment can change: its description.
func describe(tx resource.Tx, r *resource.Resource, old, next *RoleAssignment) (*resource.Resource, error) {
	if next.Description == nil || old.Description != nil && *old.Description == *next.Description {
		return r, nil
	}
	changed := *old
	changed.Description, changed.UpdatedOn, changed.UpdatedBy = next.Description, next.UpdatedOn, next.UpdatedBy
	r = r.Clone()
	if err := resource.Encode(r, &changed); err != nil {
		return nil, err
	}
	tx.Put(r)
	return r, nil
}

// nameRole checks that the role is there and can be assigned at scope.
func (p *RoleAssignment) nameRole(tx resource.Tx, scope resource.ID) error {
	role, ok, err := findRole(tx, p.RoleDefinitionID)
	switch {
	case err != nil:
		return err
	case !ok:
		return resource.Errorf(resource.RoleDefinitionNotFound, "The specified role definition with ID '%s' does not exist.", p.RoleDefinitionID)
	case !role.AssignableAt(scope.String()):
		return resource.Errorf(resource.RoleDefinitionNotFound,
			"The specified role definition with ID '%s' does not exist at the scope '%s': that is not one of its assignable scopes, nor below one.", role.ID, scope)
	}
	p.RoleDefinitionID = roleDefinitionID(scope, role.ID)
	return nil
}

// principalTypes are those of assignments, in their spelling.
var principalTypes = []string{access.PrincipalUser, access.PrincipalGroup, access.PrincipalProgram, "ForeignGroup", "Device"}

// checkPrincipal checks who is to get a role. One that the directory does not
// know may be a principal of another issuer; then nobody but the caller can say
// of which type it is.
func (h *Handler) checkPrincipal(p *RoleAssignment) error {
	if p.PrincipalType != "" {
		i := slices.IndexFunc(principalTypes, func(t string) bool { return strings.EqualFold(t, p.PrincipalType) })
		if i < 0 {
			return resource.Invalid("The principal type '%s' is not one of %s.", p.PrincipalType, strings.Join(principalTypes, ", "))
		}
		p.PrincipalType = principalTypes[i]
	}
	known, ok := h.Principal(p.PrincipalID)
	switch {
	case ok && !known.Pending && p.PrincipalType == "":
		p.PrincipalType = access.PrincipalProgram
	case ok && !known.Pending && p.PrincipalType != access.PrincipalProgram:
		return resource.Errorf(codePrincipalType, "The PrincipalId '%s' has type '%s', which is different from specified PrincipalType '%s'.",
			p.PrincipalID, access.PrincipalProgram, p.PrincipalType)
	case ok && !known.Pending:
	case ok || !h.ExternalPrincipals || p.PrincipalType == "" || uuid.Validate(p.PrincipalID) != nil || len(p.PrincipalID) != 36:
		return resource.Errorf(resource.PrincipalNotFound, "Principal %s does not exist in the directory.", p.PrincipalID)
	}
	return nil
}

func roleGUID(id string) string {
	return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:])
}

func (h *Handler) deleteRoleAssignment(rq *request, id resource.ID) error {
	var removed *resource.Resource
	err := h.commit(rq, func(tx resource.Tx) error {
		removed, _ = tx.Get(id)
		if removed == nil {
			return nil
		}
		if err := h.keepOwner(tx, removed); err != nil {
			return err
		}
		tx.Delete(id)
		return nil
	})
	if err != nil {
		return err
	}
	if removed == nil {
		rq.out.WriteHeader(http.StatusNoContent)
		return nil
	}
	if _, err := presentAssignment(removed); err != nil { // gone it is all the same
		tellUnreadable(h.Logger, removed, err)
		rq.out.WriteHeader(http.StatusNoContent)
		return nil
	}
	return writePresented(rq, http.StatusOK, removed, presentAssignment)
}

// keepOwner refuses to remove the last Owner of everything: nobody could give
// that role again.
func (h *Handler) keepOwner(tx resource.Tx, leaving *resource.Resource) error {
	owns := func(r *resource.Resource, p *RoleAssignment) bool {
		return r.ID.Scope().IsRoot() && roleGUID(p.RoleDefinitionID) == access.RoleOwner
	}
	// One that cannot be read gives nothing, so it may go.
	if p, err := resource.Properties[RoleAssignment](leaving); err != nil || !owns(leaving, p) {
		return nil
	}
	for r, p := range eachReadable[RoleAssignment](h.Logger, assignedAt(tx, resource.ID{})) {
		if !owns(r, p) || r.ID.Equal(leaving.ID) {
			continue
		}
		if known, ok := h.Principal(p.PrincipalID); ok && known.MaySignIn() {
			return nil
		}
	}
	return resource.Errorf(resource.Conflict,
		"This is the last assignment of the role Owner at '/' to a program of this server; without one nobody could manage it. Assign the role to another one first.")
}
