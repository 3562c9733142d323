package arm

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const typeRoleDefinition = "Microsoft.Authorization/roleDefinitions"

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
	return at.Provider(typeRoleDefinition, role).String()
}

var roleNameFilter = regexp.MustCompile(`(?i)roleName\s+eq\s+'((?:[^']|'')*)'`)

func (h *Handler) listRoleDefinitions(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	if err := h.authorize(rq, typeRoleDefinition+"/read", rq.path.ID); err != nil {
		return err
	}
	wanted := roleNameFilter.FindStringSubmatch(queryParam(rq.http, "$filter"))
	value := []any{}
	for _, role := range access.BuiltInRoles() {
		if wanted == nil || strings.EqualFold(role.Name, strings.ReplaceAll(wanted[1], "''", "'")) {
			value = append(value, presentRole(rq.path.ID, role))
		}
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

func (h *Handler) getRoleDefinition(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope := rq.path.ID.Scope()
	if err := h.authorize(rq, typeRoleDefinition+"/read", scope); err != nil {
		return err
	}
	role, ok := access.BuiltInRole(rq.path.ID.Name())
	if !ok {
		return resource.Errorf(resource.NotFound, "The role definition '%s' could not be found.", rq.path.ID.Name())
	}
	writeJSON(rq.out, http.StatusOK, presentRole(scope, role))
	return nil
}

func presentRole(scope resource.ID, role access.Role) any {
	permissions := []any{}
	for _, p := range role.Permissions {
		permissions = append(permissions, map[string]any{
			"actions": orEmpty(p.Actions), "notActions": orEmpty(p.NotActions),
			"dataActions": orEmpty(p.DataActions), "notDataActions": orEmpty(p.NotDataActions),
		})
	}
	return map[string]any{
		"id": roleDefinitionID(scope, role.ID), "name": role.ID, "type": typeRoleDefinition,
		"properties": map[string]any{
			"roleName": role.Name, "type": "BuiltInRole", "description": role.Description,
			"assignableScopes": []string{"/"}, "permissions": permissions,
		},
	}
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func presentAssignment(r *resource.Resource) (any, error) {
	p, err := resource.Properties[RoleAssignment](r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": r.ID.String(), "name": r.ID.Name(), "type": resource.TypeRoleAssignment, "properties": p}, nil
}

var principalFilter = regexp.MustCompile(`(?i)(?:principalId\s+eq\s+|assignedTo\()'([^']*)'`)

// listRoleAssignments shows what is assigned at the scope, above it, and,
// unless the filter says atScope(), below it.
func (h *Handler) listRoleAssignments(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope := rq.path.ID
	if err := h.authorize(rq, resource.TypeRoleAssignment+"/read", scope); err != nil {
		return err
	}
	filter := queryParam(rq.http, "$filter")
	principal := principalFilter.FindStringSubmatch(filter)
	atScope := strings.Contains(strings.ToLower(filter), "atscope()")
	value := []any{}
	for _, r := range h.Store.List(resource.TypeRoleAssignment, resource.ID{}) {
		at := r.ID.Scope()
		if !within(scope, at) && (atScope || !within(at, scope)) {
			continue
		}
		p, err := resource.Properties[RoleAssignment](r)
		if err != nil {
			return err
		}
		if principal != nil && !strings.EqualFold(principal[1], p.PrincipalID) {
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
	scope := rq.path.ID.Scope()
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
		for _, other := range tx.List(resource.TypeRoleAssignment, id.Scope()) {
			if !other.ID.Scope().Equal(id.Scope()) {
				continue
			}
			p, err := resource.Properties[RoleAssignment](other)
			if err != nil {
				return err
			}
			same := strings.EqualFold(p.PrincipalID, next.PrincipalID) && roleGUID(p.RoleDefinitionID) == roleGUID(next.RoleDefinitionID)
			switch {
			case other.ID.Equal(id) && same:
				status, written, rq.created = http.StatusOK, other, false
				return nil
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

// checkScope refuses a scope that is not there. What belongs to providers other
// than ours cannot be known, so it passes.
func checkScope(tx resource.Tx, scope resource.ID) error {
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
	raw, err := rq.body()
	if err != nil {
		return nil, err
	}
	var body struct {
		Properties RoleAssignment `json:"properties"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, badBody(err.Error())
	}
	p := body.Properties
	role, ok := access.BuiltInRole(p.RoleDefinitionID)
	if !ok {
		return nil, resource.Errorf(resource.RoleDefinitionNotFound, "The specified role definition with ID '%s' does not exist.", p.RoleDefinitionID)
	}
	if p.Condition != nil && *p.Condition != "" {
		return nil, resource.Invalid("Conditions on role assignments are not offered by this server.")
	}
	if _, ok := h.Principal(p.PrincipalID); !ok {
		return nil, resource.Errorf(resource.PrincipalNotFound, "Principal %s does not exist in the directory.", p.PrincipalID)
	}
	p.Scope, p.RoleDefinitionID = id.Scope().String(), roleDefinitionID(id.Scope(), role.ID)
	if p.PrincipalType == "" {
		p.PrincipalType = "ServicePrincipal"
	}
	p.CreatedOn, p.UpdatedOn = resource.Time(rq.now), resource.Time(rq.now)
	p.CreatedBy, p.UpdatedBy = rq.caller.ObjectID, rq.caller.ObjectID
	return &p, nil
}

func roleGUID(id string) string {
	return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:])
}

func (h *Handler) deleteRoleAssignment(rq *request, id resource.ID) error {
	var removed *resource.Resource
	err := h.commit(rq, func(tx resource.Tx) error {
		removed, _ = tx.Get(id)
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
	return writePresented(rq, http.StatusOK, removed, presentAssignment)
}
