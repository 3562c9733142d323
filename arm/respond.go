package arm

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/intertie/intertie/resource"
)

// envelope is a resource as Azure's clients read it. Members that are always
// there although unset are written as null.
type envelope struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Location   string          `json:"location,omitempty"`
	Tags       *tagMap         `json:"tags,omitempty"`
	Identity   json.RawMessage `json:"identity,omitempty"`
	SystemData *systemData     `json:"systemData"`
	Properties any             `json:"properties"`

	extra map[string]json.RawMessage
}

// MarshalJSON implements [json.Marshaler]: it adds the members that only some
// kinds have.
func (e envelope) MarshalJSON() ([]byte, error) {
	type plain envelope
	data, err := json.Marshal(plain(e))
	if err != nil || len(e.extra) == 0 {
		return data, err
	}
	more, err := json.Marshal(e.extra)
	if err != nil {
		return nil, err
	}
	return append(append(data[:len(data)-1], ','), more[1:]...), nil
}

// tagMap is written as null when it is empty.
type tagMap map[string]string

// MarshalJSON implements [json.Marshaler].
func (t *tagMap) MarshalJSON() ([]byte, error) {
	if *t == nil {
		return []byte("null"), nil
	}
	return json.Marshal(map[string]string(*t))
}

type systemData struct {
	CreatedBy          string        `json:"createdBy,omitempty"`
	CreatedByType      string        `json:"createdByType,omitempty"`
	CreatedAt          resource.Time `json:"createdAt"`
	LastModifiedBy     string        `json:"lastModifiedBy,omitempty"`
	LastModifiedByType string        `json:"lastModifiedByType,omitempty"`
	LastModifiedAt     resource.Time `json:"lastModifiedAt"`
}

// present turns a stored resource into what the client sees at the given id; a
// zero one is the resource's own. The creator is shown only within the same side:
// a partner topic is made by the partner, and its object id is none of the
// customer's business.
func (h *Handler) present(rq *request, kind *resource.Kind, r *resource.Resource, id resource.ID) (envelope, error) {
	view, typ := rq.view(h), r.Type
	if id.IsRoot() {
		id = r.ID
	} else {
		view.Route, typ = id, id.Type()
	}
	properties, err := kind.Present(r, view)
	if err != nil {
		return envelope{}, err
	}
	e := envelope{
		ID: id.String(), Name: id.Name(), Type: typ, Location: r.Location, Identity: r.Identity, Properties: properties, extra: r.Extra,
	}
	if kind.Tracked && r.Location != "" {
		tags := tagMap(r.Tags)
		e.Tags = &tags
	}
	if !kind.Service {
		e.SystemData = &systemData{
			CreatedBy: r.CreatedBy, CreatedByType: "Application", CreatedAt: resource.Time(r.CreatedAt),
			LastModifiedBy: r.ModifiedBy, LastModifiedByType: "Application", LastModifiedAt: resource.Time(r.ModifiedAt),
		}
	}
	return e, nil
}

// respond answers with a resource. One that is not finished gets the header by
// which clients follow it; everything else is done when the answer is sent, so
// clients stop after one request.
func (h *Handler) respond(rq *request, kind *resource.Kind, r *resource.Resource, id resource.ID, status int) error {
	e, err := h.present(rq, kind, r, id)
	if err != nil {
		return err
	}
	if rq.http.Method != http.MethodGet && pending(r) {
		location := r.Location
		if location == "" {
			location = "global"
		}
		rq.out.Header().Set("Azure-AsyncOperation", rq.base+"/subscriptions/"+r.ID.Subscription+"/providers/Microsoft.EventGrid/locations/"+
			location+"/operationsStatus/"+strings.ToUpper(r.UID.String())+"?api-version="+rq.version)
		rq.out.Header().Set("Retry-After", "1")
	}
	writeJSON(rq.out, status, e)
	return nil
}

// states that are final; any other means that the service is still at it.
var finalStates = map[string]string{"Succeeded": "Succeeded", "Failed": "Failed", "Canceled": "Canceled"}

func pending(r *resource.Resource) bool {
	_, final := finalStates[provisioningState(r)]
	return !final
}

func provisioningState(r *resource.Resource) string {
	var p struct {
		State string `json:"provisioningState"`
	}
	if err := json.Unmarshal(r.Properties, &p); err != nil || p.State == "" {
		return "Succeeded"
	}
	return p.State
}

// mostValues bounds a body beside its bytes: a value of two of them takes many times
// as much when it is decoded.
const mostValues = 100_000

// valuesIn counts the values of some JSON without decoding it: about one for each
// comma, bracket and brace outside of texts.
func valuesIn(raw []byte) int {
	n, text := 1, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			text = !text
		case text && c == '\\':
			i++
		case !text && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// decodeBody reads the body of a PUT or PATCH. An empty one is an empty object:
// some clients send none.
func decodeBody(raw []byte, flat bool) (resource.Body, error) {
	raw = bytes.TrimPrefix(bytes.TrimSpace(raw), []byte("\xef\xbb\xbf"))
	if len(raw) == 0 {
		return resource.Body{}, nil
	}
	if valuesIn(raw) > mostValues {
		return resource.Body{}, resource.Errorf(resource.RequestTooLarge, "The request body holds more than %d values.", mostValues)
	}
	if flat {
		if !json.Valid(raw) || raw[0] != '{' {
			return resource.Body{}, resource.BadBody("it is not a JSON object")
		}
		// A client that wraps the members in properties is understood as well.
		var wrapped struct {
			Properties json.RawMessage `json:"properties"`
		}
		if err := json.Unmarshal(raw, &wrapped); err == nil && len(wrapped.Properties) > 0 && wrapped.Properties[0] == '{' {
			return resource.Body{Properties: wrapped.Properties}, nil
		}
		return resource.Body{Properties: raw}, nil
	}
	var b struct {
		Location   string             `json:"location"`
		Tags       *map[string]string `json:"tags"`
		Identity   json.RawMessage    `json:"identity"`
		Properties json.RawMessage    `json:"properties"`
	}
	if err := resource.DecodeBody(raw, &b); err != nil {
		return resource.Body{}, err
	}
	var extra map[string]json.RawMessage
	if err := resource.DecodeBody(raw, &extra); err != nil {
		return resource.Body{}, err
	}
	for _, known := range []string{"location", "tags", "identity", "properties"} {
		delete(extra, known)
	}
	if p := b.Properties; len(p) > 0 && p[0] != '{' && string(p) != "null" {
		return resource.Body{}, resource.BadBody("'properties' is not a JSON object")
	}
	body := resource.Body{Location: b.Location, Properties: b.Properties, Extra: extra}
	if string(b.Identity) != "null" {
		body.Identity = b.Identity
	}
	if b.Tags != nil {
		body.HasTags, body.Tags = true, *b.Tags
	}
	return body, nil
}
