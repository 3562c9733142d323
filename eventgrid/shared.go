package eventgrid

import (
	"encoding/json"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// readable yields resources with their properties, and leaves out those that
// cannot be read: what somebody else's record holds must not end a request.
func readable[P any](all []*resource.Resource) iter.Seq2[*resource.Resource, *P] {
	return func(yield func(*resource.Resource, *P) bool) {
		for _, r := range all {
			if p, err := resource.Properties[P](r); err == nil && !yield(r, p) {
				return
			}
		}
	}
}

// NetworkAccess is the publicNetworkAccess property.
type NetworkAccess string

// The values of NetworkAccess. Traffic is judged by the first two; the third
// belongs to newer previews and is treated as Disabled.
const (
	AccessEnabled   NetworkAccess = "Enabled"
	AccessDisabled  NetworkAccess = "Disabled"
	AccessPerimeter NetworkAccess = "SecuredByPerimeter"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (a *NetworkAccess) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, a, AccessEnabled, AccessDisabled, AccessPerimeter)
}

// TLSVersion is the minimumTlsVersionAllowed property.
type TLSVersion string

// UnmarshalJSON implements [json.Unmarshaler].
func (v *TLSVersion) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, v, "1.0", "1.1", "1.2")
}

// IPRule admits a range of client addresses.
type IPRule struct {
	Mask   string   `json:"ipMask"`
	Action IPAction `json:"action"`
}

// IPAction is what an IPRule does; Azure has only Allow.
type IPAction string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *IPAction) UnmarshalJSON(data []byte) error { return resource.ParseEnum(data, a, "Allow") }

func (r *Rules) checkIPRules(rules []IPRule) error {
	if limit := r.limits().IPRules; len(rules) > limit {
		return resource.Invalid("inboundIpRules holds %d rules; at most %d are allowed.", len(rules), limit)
	}
	for i := range rules {
		if rules[i].Action == "" {
			rules[i].Action = "Allow"
		}
		if _, err := ParseIPMask(rules[i].Mask); err != nil {
			return resource.Invalid("inboundIpRules[%d].ipMask '%s' is not an address range; write it like 10.0.0.0/8 or 192.0.2.7.", i, rules[i].Mask)
		}
	}
	return nil
}

// ParseIPMask reads a CIDR range or a single address.
func ParseIPMask(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// EventTypeInfo declares the event types that a partner publishes. It informs
// the customer; events of other types are delivered as well.
type EventTypeInfo struct {
	Kind   eventTypeKind              `json:"kind"`
	Inline map[string]InlineEventType `json:"inlineEventTypes,omitempty"`
}

type eventTypeKind string

// UnmarshalJSON implements [json.Unmarshaler].
func (k *eventTypeKind) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, k, "Inline")
}

// InlineEventType describes one declared event type.
type InlineEventType struct {
	DisplayName      string `json:"displayName,omitempty"`
	Description      string `json:"description,omitempty"`
	DocumentationURL string `json:"documentationUrl,omitempty"`
	DataSchemaURL    string `json:"dataSchemaUrl,omitempty"`
}

// UnmarshalJSON replaces the whole declaration, so that a PATCH can also take
// an event type away.
func (i *EventTypeInfo) UnmarshalJSON(data []byte) error {
	type plain EventTypeInfo
	var fresh plain
	if err := json.Unmarshal(data, &fresh); err != nil {
		return err
	}
	*i = EventTypeInfo(fresh)
	return nil
}

func checkEventTypes(info *EventTypeInfo) error {
	if info == nil {
		return nil
	}
	if info.Kind == "" {
		info.Kind = "Inline"
	}
	for name, t := range info.Inline {
		switch {
		case name == "" || utf8.RuneCountInString(name) > 128:
			return resource.Invalid("An event type name in inlineEventTypes must have 1 to 128 characters; '%s' has %d.", name, utf8.RuneCountInString(name))
		case utf8.RuneCountInString(t.DisplayName) > 128:
			return resource.Invalid("The displayName of event type '%s' must have at most 128 characters.", name)
		case utf8.RuneCountInString(t.Description) > 256:
			return resource.Invalid("The description of event type '%s' must have at most 256 characters.", name)
		}
	}
	return nil
}

// Names of the secrets that hold access keys.
const (
	SecretKey1 = "key1"
	SecretKey2 = "key2"
)

// keyActions are the two operations of every resource that has access keys.
func keyActions() map[string]resource.Action {
	keys := func(r *resource.Resource) any {
		return map[string]string{"key1": r.Secrets[SecretKey1], "key2": r.Secrets[SecretKey2]}
	}
	return resource.Actions(
		resource.Action{Name: "listKeys", Reads: true, Do: func(c *resource.Call) (any, error) { return keys(c.Resource), nil }},
		resource.Action{Name: "regenerateKey", Do: func(c *resource.Call) (any, error) {
			var body struct {
				KeyName string `json:"keyName"`
			}
			if err := decodeBody(c.Body, &body); err != nil {
				return nil, err
			}
			name := strings.ToLower(body.KeyName)
			if name != SecretKey1 && name != SecretKey2 {
				return nil, resource.Invalid("keyName '%s' is not one of the allowed values: key1, key2.", body.KeyName)
			}
			r := c.Resource.Clone()
			r.Secret(name, access.NewKey())
			r.ModifiedAt, r.ModifiedBy = c.Now, c.Caller
			c.Tx.Put(r)
			return keys(r), nil
		}},
	)
}

func newKeys(r *resource.Resource) {
	r.Secret(SecretKey1, access.NewKey())
	r.Secret(SecretKey2, access.NewKey())
}

// decodeBody reads the body of an action; an empty one leaves v as it is.
func decodeBody(body []byte, v any) error {
	if len(body) == 0 {
		return nil
	}
	return resource.DecodeBody(body, v)
}

// endpoint returns the publish URL of a resource, as the client reaches it.
func endpoint(r *resource.Resource, v resource.View) string {
	label := strings.ToLower(r.ID.Name()) + "." + r.Location + "-1"
	if v.PublishDomain == "" {
		return v.BaseURL + "/" + label + "/api/events"
	}
	port := ""
	if i := strings.LastIndexByte(v.BaseURL, ':'); i > len("https") && !strings.HasSuffix(v.BaseURL, "]") {
		port = v.BaseURL[i:]
	}
	return "https://" + label + "." + v.PublishDomain + port + "/api/events"
}

// uniqueInRegion refuses a name that another resource with an endpoint in the
// region has: both would share a host name.
func uniqueInRegion(w *resource.Write, location string) error {
	for _, t := range []string{TypeTopic, TypeDomain, TypePartnerNamespace} {
		for _, other := range w.Tx.List(t, resource.ID{}) {
			if !other.ID.Equal(w.ID) && equalFold(other.ID.Name(), w.ID.Name()) && other.Location == location {
				return resource.Errorf(resource.Conflict,
					"The name '%s' is already taken in region '%s'. Choose another name.", w.ID.Name(), location)
			}
		}
	}
	return nil
}

// regionPattern admits what can stand in a host name and in a path: the region
// is part of publish endpoints.
var regionPattern = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]{0,48}[a-z0-9])?$`)

func (r *Rules) checkRegion(location, typ string) error {
	if !regionPattern.MatchString(location) {
		return resource.Errorf(resource.LocationNotAvailable,
			"The provided location '%s' is not available for resource type '%s': it must consist of letters, digits and hyphens.", location, typ)
	}
	if len(r.Regions) == 0 || slices.Contains(r.Regions, location) {
		return nil
	}
	return resource.Errorf(resource.LocationNotAvailable,
		"The provided location '%s' is not available for resource type '%s'. List of available regions for the resource type is '%s'.",
		location, typ, strings.Join(r.Regions, ","))
}
