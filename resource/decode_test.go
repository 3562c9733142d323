package resource

import "testing"

type inner struct {
	Text string `json:"text"`
}

type outer struct {
	inner
	Named struct{ inner } `json:"named"`
	List  []struct {
		Deep map[string]*inner `json:"deep"`
	} `json:"list"`
	Count int32 `json:"count"`
	At    Time  `json:"at"`
}

func TestWhatIsWrongWithABody(t *testing.T) {
	const prefix = "InvalidRequestContent: The request content was invalid and could not be deserialized: "
	for body, want := range map[string]string{
		`[]`:                    prefix + "it is a JSON array; an object is expected.",
		`{`:                     prefix + "it is not valid JSON: unexpected end of JSON input.",
		``:                      prefix + "it is not valid JSON: unexpected end of JSON input.",
		`{"text":1}`:            prefix + "property 'text' is a JSON number; a string is expected.",
		`{"named":{"text":[]}}`: prefix + "property 'named.text' is a JSON array; a string is expected.",
		`{"list":[{"deep":{"a":{"text":true}}}]}`: prefix + "property 'list.deep.text' is a JSON bool; a string is expected.",
		`{"list":[{"deep":{"a":"x"}}]}`:           prefix + "property 'list.deep' is a JSON string; an object is expected.",
		`{"count":5000000000}`:                    prefix + "property 'count' is a JSON number 5000000000; a number in range is expected.",
		`{"at":7}`:                                "InvalidRequestContent: A time must be a JSON string, not 7.",
	} {
		if err := DecodeBody([]byte(body), &outer{}); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", body, err, want)
		}
	}
}
