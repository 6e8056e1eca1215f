package webhookserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// hasValidSignature implements the verification of Standard Webhooks: one of the signatures is
// the HMAC-SHA256 of "id.timestamp.body".
func hasValidSignature(secret []byte, header http.Header, body []byte) bool {
	id, timestamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	if _, err := strconv.ParseInt(timestamp, 10, 64); err != nil || id == "" {
		return false
	}
	want := sign(secret, id, timestamp, body)
	for given := range strings.FieldsSeq(header.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(given), []byte(want)) {
			return true
		}
	}
	return false
}

func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
