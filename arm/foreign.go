package arm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// A foreign resource is one of a provider that this server does not have, such
// as a storage account that a template creates beside a topic. It is a record and
// no more: what was written is kept and shown, and its id can be named elsewhere.
// It takes the same way through the engine as any other, by a kind made for it.

// ownProviders are those whose types are all known here: any other type of
// theirs does not exist. The types of [resource.IsInternal] do not exist for clients
// at all.
var ownProviders = []string{eventgrid.Namespace, "Microsoft.Resources", "Microsoft.Authorization", "Microsoft.Subscription"}

var (
	foreignTypePattern = regexp.MustCompile(`^[A-Za-z0-9]+(\.[A-Za-z0-9]+)+(/[A-Za-z0-9._-]+){1,10}$`)
	foreignNamePattern = regexp.MustCompile(`^[^<>%&?\\]{1,260}$`)
	versionPattern     = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-[A-Za-z0-9.]+)?$`)
)

// foreignKind makes the kind of a foreign type.
func foreignKind(typ string) (*resource.Kind, bool) {
	ns, _, _ := strings.Cut(typ, "/")
	if anyFold(ns, ownProviders...) || resource.IsInternal(typ) || !foreignTypePattern.MatchString(typ) {
		return nil, false
	}
	typ = knownCasing(typ)
	keyed := strings.EqualFold(typ, typeStorageAccount)
	k := &resource.Kind{
		Spec: resource.Spec{
			Type: typ, Place: resource.Anywhere, Tracked: true, Names: foreignNamePattern, NameRule: `1 to 260 characters other than < > % & ? \`,
			// Not 201: the one answer that the clients of nearly all types take, az storage
			// account create and those of event hubs, queues and sites among them.
			Status: resource.Status{Create: http.StatusOK},
		},
		Write: func(w *resource.Write) (*resource.Resource, error) {
			r, err := writeForeign(typ, w)
			if err == nil && keyed {
				err = giveStorageKeys(r)
			}
			return r, err
		},
		Delete:  func(*resource.Deletion, *resource.Resource) error { return nil }, // what is inside goes by sweep
		Present: func(r *resource.Resource, _ resource.View) (any, error) { return r.Properties, nil },
	}
	if keyed {
		k.Actions = storageActions()
	}
	return k, true
}

func checkVersion(version string) error {
	if !versionPattern.MatchString(version) {
		return resource.Errorf(resource.InvalidAPIVersion, "The api-version '%s' is invalid. It is a date, with or without a suffix: 2024-01-01, or 2024-01-01-preview.", version)
	}
	return nil
}

// writeForeign keeps what a body holds: a PUT replaces everything, a PATCH merges
// into what is there.
func writeForeign(typ string, w *resource.Write) (*resource.Resource, error) {
	r := &resource.Resource{ID: w.ID, UID: resource.NewUID(), Type: typ, CreatedAt: w.Now, CreatedBy: w.Caller}
	if w.Old != nil {
		r = w.Old.Clone()
	}
	r.ModifiedAt, r.ModifiedBy = w.Now, w.Caller
	r.Confidential = true // nobody here knows what is secret in it
	if err := setForeignLocation(r, w); err != nil {
		return nil, err
	}
	if w.Body.HasTags || !w.Patch {
		r.Tags = w.Body.Tags
	}
	if err := resource.CheckTags(r.Tags); err != nil {
		return nil, err
	}
	base := r
	if !w.Patch {
		base = &resource.Resource{}
	}
	before := r.Identity
	var err error
	if r.Identity, err = merged(base.Identity, w.Body.Identity); err != nil {
		return nil, err
	}
	if err := w.RequireIdentities(before, r.Identity); err != nil {
		return nil, err
	}
	if r.Extra, err = foreignExtra(base.Extra, w.Body.Extra); err != nil {
		return nil, err
	}
	r.Properties, err = foreignProperties(typ, base.Properties, w.Body.Properties)
	return r, err
}

// setForeignLocation is the rule of all tracked kinds, but that a resource without
// a location is one that is not tracked.
func setForeignLocation(r *resource.Resource, w *resource.Write) error {
	location := resource.NormalLocation(w.Body.Location)
	switch {
	case w.Old == nil:
		r.Location = location
	case location != "" && location != w.Old.Location:
		return resource.Errorf(resource.InvalidResourceLocation,
			"The resource '%s' already exists in location '%s'. A resource with the same name cannot be created in location '%s'.",
			r.ID.Name(), w.Old.Location, location)
	}
	return nil
}

// readOnlyMembers are the service's own, and what has a place of its own.
var readOnlyMembers = []string{"id", "name", "type", "systemData", "location", "tags", "identity", "properties"}

func foreignExtra(old, sent map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	extra := maps.Clone(old)
	for name, value := range sent {
		if anyFold(name, readOnlyMembers...) {
			continue
		}
		value, err := merged(extra[name], value)
		if err != nil {
			return nil, err
		}
		if value == nil {
			delete(extra, name)
			continue
		}
		if extra == nil {
			extra = make(map[string]json.RawMessage)
		}
		extra[name] = value
	}
	return extra, nil
}

func foreignProperties(typ string, old, sent json.RawMessage) (json.RawMessage, error) {
	before, err := decoded(old)
	if err != nil {
		return nil, err
	}
	patch, err := decoded(sent)
	if err != nil {
		return nil, err
	}
	if patch == nil {
		patch = map[string]any{}
	}
	properties, ok := mergePatch(before, patch).(map[string]any)
	if !ok { // decodeBody has seen to it
		return nil, resource.BadBody("'properties' is not a JSON object")
	}
	dropSecrets(typ, properties)
	properties["provisioningState"] = "Succeeded"
	return json.Marshal(properties)
}

// merged is mergePatch on the text of JSON; nil is the absence of a value.
func merged(old, patch json.RawMessage) (json.RawMessage, error) {
	if len(patch) == 0 {
		return old, nil
	}
	before, err := decoded(old)
	if err != nil {
		return nil, err
	}
	change, err := decoded(patch)
	if err != nil || change == nil {
		return nil, err
	}
	return json.Marshal(mergePatch(before, change))
}

// decoded keeps numbers as they are written.
func decoded(data json.RawMessage) (v any, err error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // JSON's null is nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode a member of a body that was read before: %w", err)
	}
	return v, nil
}

// mergePatch changes old as RFC 7396 says and returns it.
func mergePatch(old, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	into, ok := old.(map[string]any)
	if !ok {
		into = make(map[string]any, len(change))
	}
	for name, value := range change {
		if value == nil {
			delete(into, name)
			continue
		}
		into[name] = mergePatch(into[name], value)
	}
	return into
}

const typeVaultSecret = "Microsoft.KeyVault/vaults/secrets"

// dropSecrets removes what Azure takes and never shows: the value of a vault's
// secret, and whatever is called a password. A record has no use for them.
func dropSecrets(typ string, properties map[string]any) {
	if strings.EqualFold(typ, typeVaultSecret) {
		delete(properties, "value")
	}
	dropPasswords(properties)
}

func dropPasswords(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if _, text := inner.(string); text && strings.HasSuffix(strings.ToLower(name), "password") {
				delete(v, name)
				continue
			}
			dropPasswords(inner)
		}
	case []any:
		for _, inner := range v {
			dropPasswords(inner)
		}
	}
}
