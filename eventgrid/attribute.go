package eventgrid

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// Attribute is one delivery attribute mapping: a header that every delivery of an
// event subscription carries.
type Attribute struct {
	Name string
	// Type says which of the fields below count.
	Type AttributeType
	// Value of a static one. In stored properties that of a secret is the word
	// Hidden; [DeliveryAttributes] returns the real one.
	Value  string
	Secret bool
	// SourceField of a dynamic one: where in the event its value is.
	SourceField string
}

// AttributeType says where the value of an [Attribute] comes from.
type AttributeType string

// The types of attributes: fixed ones, and ones taken from each event.
const (
	StaticAttribute  AttributeType = "Static"
	DynamicAttribute AttributeType = "Dynamic"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (t *AttributeType) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, t, StaticAttribute, DynamicAttribute)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Attribute) UnmarshalJSON(data []byte) error {
	var v struct {
		Name       string        `json:"name"`
		Type       AttributeType `json:"type"`
		Properties struct {
			Value       string `json:"value"`
			Secret      bool   `json:"isSecret"`
			SourceField string `json:"sourceField"`
		} `json:"properties"`
	}
	if err := resource.DecodeMember("deliveryAttributeMappings", data, &v); err != nil {
		return err
	}
	*a = Attribute{Name: v.Name, Type: v.Type}
	switch v.Type {
	case StaticAttribute:
		a.Value, a.Secret = v.Properties.Value, v.Properties.Secret
	case DynamicAttribute:
		a.SourceField = v.Properties.SourceField
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (a Attribute) MarshalJSON() ([]byte, error) {
	v := struct {
		Name       string        `json:"name"`
		Type       AttributeType `json:"type"`
		Properties any           `json:"properties"`
	}{Name: a.Name, Type: a.Type}
	if a.Type == StaticAttribute {
		v.Properties = struct {
			Value  string `json:"value"`
			Secret bool   `json:"isSecret"`
		}{a.Value, a.Secret}
	} else {
		v.Properties = struct {
			SourceField string `json:"sourceField"`
		}{a.SourceField}
	}
	return json.Marshal(v)
}

const (
	maxAttributes      = 10
	maxAttributeLength = 4096 // bytes of a name or a value

	// hiddenValue is what reads show instead of a secret, and what clients that
	// change something else send back.
	hiddenValue = "Hidden"
	// secretAttribute begins the names of the secrets that hold values.
	secretAttribute = "attribute:"
)

// attributeSecret names the secret of an attribute; header names have no case.
func attributeSecret(name string) string { return secretAttribute + strings.ToLower(name) }

// prepareAttributes checks the attributes of a destination and moves secret values
// into the secrets. Values of attributes that are gone go as well.
// entra is set where the endpoint is protected by Microsoft Entra.
func prepareAttributes(res *resource.Resource, attributes []Attribute, entra bool) error {
	if len(attributes) > maxAttributes {
		return invalidAttribute("deliveryAttributeMappings holds %d attributes; at most %d are allowed.", len(attributes), maxAttributes)
	}
	keep := make(map[string]bool)
	for i := range attributes {
		a := &attributes[i]
		if err := a.checkName(entra); err != nil {
			return err
		}
		name := attributeSecret(a.Name)
		if _, twice := keep[name]; twice {
			return invalidAttribute("the delivery attribute '%s' is there twice.", a.Name)
		}
		keep[name] = a.Secret
		if a.Secret && (a.Value == "" || a.Value == hiddenValue) {
			a.Value = res.Secrets[name]
		}
		if err := a.checkValue(); err != nil {
			return err
		}
		if a.Secret {
			res.Secret(name, a.Value)
			a.Value = hiddenValue
		}
	}
	for name := range res.Secrets {
		if strings.HasPrefix(name, secretAttribute) && !keep[name] {
			res.Secret(name, "")
		}
	}
	return nil
}

func invalidAttribute(format string, args ...any) error {
	return resource.Invalid("Invalid event subscription request: %s", fmt.Sprintf(format, args...))
}

// reservedHeaders belong to the connection, to the body, or to Event Grid.
var reservedHeaders = []string{
	"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
	"expect", "accept-encoding", "origin", "webhook-request-origin", "webhook-request-callback", "webhook-request-rate",
}

const reservedPrefix = "aeg-"

// checkName: an endpoint protected by Entra gets its Authorization from the
// service.
func (a *Attribute) checkName(entra bool) error {
	name := strings.ToLower(a.Name)
	switch {
	case len(name) > maxAttributeLength:
		return invalidAttribute("the name of a delivery attribute has %d bytes; at most %d are allowed.", len(name), maxAttributeLength)
	case !isHeaderName(name):
		return invalidAttribute("the delivery attribute '%s' has a name that is none of an HTTP header: use letters, digits and hyphens.", a.Name)
	case strings.HasPrefix(name, reservedPrefix):
		return invalidAttribute("the delivery attribute '%s' begins with '%s', which is reserved.", a.Name, reservedPrefix)
	case slices.Contains(reservedHeaders, name) || strings.HasPrefix(name, "proxy-"):
		return invalidAttribute("the delivery attribute '%s' is a header that the service sets itself.", a.Name)
	case name == "authorization" && entra:
		return invalidAttribute("the delivery attribute '%s' is taken: azureActiveDirectoryApplicationIdOrUri makes the service send a token there.", a.Name)
	}
	return nil
}

func (a *Attribute) checkValue() error {
	switch a.Type {
	case StaticAttribute:
		switch {
		case a.Value == "":
			return invalidAttribute("the static delivery attribute '%s' needs a value.", a.Name)
		case len(a.Value) > maxAttributeLength:
			return invalidAttribute("the value of the delivery attribute '%s' has %d bytes; at most %d are allowed.", a.Name, len(a.Value), maxAttributeLength)
		case strings.IndexFunc(a.Value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) >= 0:
			return invalidAttribute("the value of the delivery attribute '%s' holds a control character, which no header can.", a.Name)
		}
	case DynamicAttribute:
		if a.SourceField == "" {
			return invalidAttribute("the dynamic delivery attribute '%s' needs a sourceField, such as data.system.", a.Name)
		}
		probe := filter.Spec{AdvancedFilters: []filter.Advanced{{Operator: "IsNotNull", Key: a.Field()}}}
		if _, err := filter.Compile(probe); err != nil {
			return invalidAttribute("the sourceField '%s' of the delivery attribute '%s' is no path into an event, such as data.system.", a.SourceField, a.Name)
		}
	default:
		return invalidAttribute("the delivery attribute '%s' needs a type: Static or Dynamic.", a.Name)
	}
	return nil
}

// Field is the source field of a dynamic attribute in the words of filters: paths
// may be written as JSONPath, $.data.system for data.system.
func (a *Attribute) Field() string { return strings.TrimPrefix(a.SourceField, "$.") }

// isHeaderName reports whether s, in lower case, can be the name of a header.
func isHeaderName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	}) < 0
}

// DeliveryAttributes returns the attributes of an event subscription with their
// real values, in the order they were given. It fails only for a resource that
// cannot be read.
func DeliveryAttributes(r *resource.Resource) ([]Attribute, error) {
	p, err := resource.Properties[EventSubscription](r)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", r.ID, err)
	}
	hook, ok := p.WebHook()
	if !ok {
		return []Attribute{}, nil // no other kind has any
	}
	all := append([]Attribute{}, hook.Attributes...)
	for i := range all {
		if all[i].Secret {
			all[i].Value = r.Secrets[attributeSecret(all[i].Name)]
		}
	}
	return all, nil
}
