package resource

import (
	"bytes"
	"encoding/json"
	"maps"
)

// envelope sets what stands beside the properties, by the rules that all kinds
// share.
func envelope(spec *Spec, r *Resource, w *Write) error {
	for _, name := range spec.Extra {
		sent, ok := w.Body.Extra[name]
		if !ok || bytes.Equal(sent, []byte("null")) {
			continue
		}
		r.Extra = maps.Clone(r.Extra)
		if r.Extra == nil {
			r.Extra = make(map[string]json.RawMessage)
		}
		r.Extra[name] = sent
	}
	if spec.Identity {
		if err := setIdentity(w, r); err != nil {
			return err
		}
	}
	if !spec.Tracked {
		return nil
	}
	switch location := w.Body.Location; {
	case w.Old == nil && location == "" && spec.Location == "":
		return Errorf(LocationRequired, "The location property is required for a resource of type '%s'.", spec.Type)
	case w.Old == nil && location == "":
		r.Location = spec.Location
	case w.Old == nil:
		r.Location = NormalLocation(location)
	case location != "" && NormalLocation(location) != w.Old.Location:
		return Errorf(InvalidResourceLocation,
			"The resource '%s' already exists in location '%s'. A resource with the same name cannot be created in location '%s'.",
			r.ID.Name(), w.Old.Location, location)
	}
	// A PUT replaces the tags, also by leaving them out; a PATCH only if sent.
	if w.Body.HasTags || !w.Patch {
		r.Tags = w.Body.Tags
	}
	return CheckTags(r.Tags)
}

// Identity is a managed identity as Azure's bodies show it. This server gives
// out none, so a resource can be marked with one and has no principal.
type Identity struct {
	Type         IdentityType                  `json:"type"`
	PrincipalID  *string                       `json:"principalId"`
	TenantID     *string                       `json:"tenantId"`
	UserAssigned map[string]*AssignedPrincipal `json:"userAssignedIdentities"`
}

// AssignedPrincipal is one user-assigned identity; clients send it empty.
type AssignedPrincipal struct {
	PrincipalID string `json:"principalId,omitempty"`
	ClientID    string `json:"clientId,omitempty"`
}

// IdentityType says where an identity comes from.
type IdentityType string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *IdentityType) UnmarshalJSON(data []byte) error {
	return ParseEnum(data, t, "None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned")
}

// setIdentity takes a sent identity; one that is left out stays as it is.
func setIdentity(w *Write, r *Resource) error {
	sent := w.Body.Identity
	if len(sent) == 0 && len(r.Identity) > 0 {
		return nil
	}
	identity := Identity{}
	if err := DecodeMember("identity", sent, &identity); err != nil {
		return err
	}
	if identity.Type == "" {
		identity.Type = "None"
	}
	identity.PrincipalID, identity.TenantID = nil, nil // the service's own
	for id, p := range identity.UserAssigned {
		if _, err := ParseID(id); err != nil {
			return Invalid("identity.userAssignedIdentities names '%s', which is not the id of a resource.", id)
		}
		if p == nil {
			identity.UserAssigned[id] = &AssignedPrincipal{}
		}
	}
	data, err := json.Marshal(identity)
	if err != nil {
		return err
	}
	if err := w.RequireIdentities(r.Identity, data); err != nil {
		return err
	}
	r.Identity = data
	return nil
}

// assignIdentity is the action that lets a caller give an identity to a resource.
const assignIdentity = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"

// RequireIdentities fails unless the caller may assign the identities that next
// names and before does not; both are the JSON of a resource's identity, or nil.
func (w *Write) RequireIdentities(before, next json.RawMessage) error {
	had := namedIdentities(before)
	for key, id := range namedIdentities(next) {
		if _, ok := had[key]; ok {
			continue
		}
		if err := w.Require(assignIdentity, id); err != nil {
			return err
		}
	}
	return nil
}

// namedIdentities returns the ids of user-assigned identities, by their keys. What
// is no id names nothing.
func namedIdentities(identity json.RawMessage) map[string]ID {
	var v struct {
		UserAssigned map[string]json.RawMessage `json:"userAssignedIdentities"`
	}
	if len(identity) == 0 || json.Unmarshal(identity, &v) != nil {
		return nil
	}
	named := make(map[string]ID, len(v.UserAssigned))
	for text := range v.UserAssigned {
		if id, err := ParseID(text); err == nil {
			named[id.Key()] = id
		}
	}
	return named
}
