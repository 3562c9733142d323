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
		if err := setIdentity(r, w.Body.Identity); err != nil {
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
func setIdentity(r *Resource, sent []byte) error {
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
	r.Identity = data
	return nil
}
