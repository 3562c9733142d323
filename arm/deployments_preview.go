package arm

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// The kinds of change of a resource, and of a property.
const (
	changeCreate = "Create"
	changeDelete = "Delete"
	changeIgnore = "Ignore"
	changeDeploy = "Deploy"
	changeNone   = "NoChange"
	changeModify = "Modify"
	changeArray  = "Array"
)

// resourceChange is what a deployment would do to one resource.
type resourceChange struct {
	ID     string           `json:"resourceId"`
	Type   string           `json:"changeType"`
	Before map[string]any   `json:"before,omitempty"`
	After  map[string]any   `json:"after,omitempty"`
	Delta  []propertyChange `json:"delta,omitempty"`
}

type propertyChange struct {
	Path     string           `json:"path"`
	Type     string           `json:"propertyChangeType"`
	Before   any              `json:"before,omitempty"`
	After    any              `json:"after,omitempty"`
	Children []propertyChange `json:"children,omitempty"`
}

// previewDeployment serves what-if.
func (h *Handler) previewDeployment(rq *request, id resource.ID) error {
	j, err := h.readDeployment(rq, id, "whatIf/action")
	if err != nil {
		return err
	}
	p, result, err := h.try(rq, j)
	if err != nil {
		return err
	}
	changes, idOnly := []resourceChange{}, strings.EqualFold(j.wanted.ResultFormat, "ResourceIdOnly")
	for _, put := range p.puts {
		c, err := p.change(rq, put, result)
		if err != nil {
			return err
		}
		if idOnly { // nothing else needs to be kept
			c, p.read = resourceChange{ID: c.ID, Type: c.Type}, 0
		}
		changes = append(changes, c)
	}
	if id.Group != "" {
		more, err := p.rest(rq, id.GroupScope(), j.wanted.Mode, result, idOnly)
		if err != nil {
			return err
		}
		changes = append(changes, more...)
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"status": stateSucceeded, "properties": map[string]any{"changes": changes}})
	return nil
}

// mostCompared bounds the resources that a preview shows, in bytes of their records.
const mostCompared = 8 << 20

// before reads a resource as it is.
func (p *planner) before(rq *request, id, version string) (map[string]any, error) {
	if parsed, err := resource.ParseID(id); err == nil {
		if r, ok := p.real.h.Store.Get(parsed); ok {
			p.read += sizeOf(r)
		}
	}
	if p.read > mostCompared {
		return nil, resource.Errorf(resource.RequestTooLarge,
			"The resources that the deployment is compared with have more than %d bytes. Ask for their ids only: \"whatIfSettings\": {\"resultFormat\": \"ResourceIdOnly\"}.", mostCompared)
	}
	return p.real.Get(rq.http.Context(), id, version)
}

// change compares a resource in the draft with the one that is there. Both are
// shown as a read shows them, so no secret can be seen.
func (p *planner) change(rq *request, put planned, result *template.Result) (resourceChange, error) {
	c := resourceChange{ID: put.ID, Type: changeCreate}
	before, err := p.before(rq, put.ID, put.Version)
	switch {
	case err == nil:
		c.Before = withVersion(before, put.Version)
	case !isCode(err, resource.NotFound) && !isCode(err, resource.ResourceGroupNotFound) && !isCode(err, resource.ParentNotFound) &&
		!isCode(err, resource.RoleAssignmentNotFound) && !isCode(err, resource.MissingSubscriptionRegistration):
		return c, err
	}
	if put.after == nil {
		if c.Before != nil {
			c.Type = changeDeploy
			return c, nil
		}
		c.After, _ = redactedValue(result, put.Body).(map[string]any)
		c.After = withVersion(c.After, put.Version)
		c.After["id"], c.After["type"], c.After["name"] = put.ID, shownType(put.Resource), nameIn(put.ID)
		return c, nil
	}
	c.After = withVersion(put.after, put.Version)
	if c.Before != nil {
		c.Type, c.Delta = changeNone, delta(c.Before, c.After, "")
		if len(c.Delta) > 0 {
			c.Type = changeModify
		}
	}
	return c, nil
}

// rest says what becomes of the group's resources that the template does not
// name: in the mode Complete they go. Those that the caller may not read are not
// told of.
func (p *planner) rest(rq *request, group resource.ID, mode string, result *template.Result, idOnly bool) ([]resourceChange, error) {
	var out []resourceChange
	for _, r := range p.real.h.others(p.real.h.Store, group, result) {
		if !p.h.mayReadOther(p.as, r) {
			continue
		}
		c := resourceChange{ID: r.ID.String(), Type: changeIgnore}
		if mode == template.Complete {
			c.Type = changeDelete
		}
		if idOnly {
			out = append(out, c)
			continue
		}
		before, err := p.before(rq, r.ID.String(), "")
		if isCode(err, resource.NotFound) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, err
		}
		c.Before = withVersion(before, p.h.versionOf(r.Type))
		out = append(out, c)
	}
	return out, nil
}

// withVersion copies what is shown of a resource, without what every write
// changes.
func withVersion(shown map[string]any, version string) map[string]any {
	out := map[string]any{"apiVersion": version}
	for k, v := range shown {
		if k != "systemData" && v != nil {
			out[k] = v
		}
	}
	if properties, ok := out["properties"].(map[string]any); ok {
		kept := make(map[string]any, len(properties))
		for k, v := range properties {
			if k != "provisioningState" && v != nil {
				kept[k] = v
			}
		}
		out["properties"] = kept
	}
	return out
}

func redactedValue(result *template.Result, v any) any {
	switch v := v.(type) {
	case string:
		return result.Redact(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = redactedValue(result, v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = redactedValue(result, v[k])
		}
		return out
	}
	return v
}

// delta lists the properties that differ, by their dotted paths.
func delta(before, after map[string]any, path string) []propertyChange {
	var out []propertyChange
	for _, name := range unitedKeys(before, after) {
		b, was := before[name]
		a, is := after[name]
		where := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case !was:
			out = append(out, propertyChange{Path: where, Type: changeCreate, After: a})
		case !is:
			out = append(out, propertyChange{Path: where, Type: changeDelete, Before: b})
		default:
			out = append(out, difference(b, a, where)...)
		}
	}
	return out
}

func difference(before, after any, path string) []propertyChange {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	if b, ok := before.(map[string]any); ok {
		if a, ok := after.(map[string]any); ok {
			return delta(b, a, path)
		}
	}
	if b, ok := before.([]any); ok {
		if a, ok := after.([]any); ok {
			return []propertyChange{{Path: path, Type: changeArray, Children: elements(b, a)}}
		}
	}
	return []propertyChange{{Path: path, Type: changeModify, Before: before, After: after}}
}

// elements compares arrays by position, with the position as the path.
func elements(before, after []any) []propertyChange {
	var out []propertyChange
	for i := range max(len(before), len(after)) {
		where := fmt.Sprint(i)
		switch {
		case i >= len(before):
			out = append(out, propertyChange{Path: where, Type: changeCreate, After: after[i]})
		case i >= len(after):
			out = append(out, propertyChange{Path: where, Type: changeDelete, Before: before[i]})
		default:
			changes := difference(before[i], after[i], "")
			if _, object := before[i].(map[string]any); object && len(changes) > 0 {
				changes = []propertyChange{{Path: where, Type: changeModify, Children: changes}}
			}
			for _, c := range changes {
				c.Path = where
				out = append(out, c)
			}
		}
	}
	return out
}

func unitedKeys(a, b map[string]any) []string {
	var keys []string
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return slices.Compact(keys)
}
