{{- define "baseline.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "baseline.labels" -}}
{{ include "baseline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "baseline.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- /* A number is written as JSON has it: as Go shows it, 10485760 is 1.048576e+07. */}}
{{- define "baseline.env" -}}
env:
  {{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    {{- if kindIs "string" $value }}
    value: {{ $value | quote }}
    {{- else }}
    value: {{ $value | toJson | quote }}
    {{- end }}
  {{- end }}
  {{- range $name, $secret := .Values.secrets }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef:
        {{- toYaml $secret | nindent 8 }}
  {{- end }}
{{- end }}

{{- /* The image runs as this user. Only /tmp can be written to. */}}
{{- define "baseline.pod" -}}
serviceAccountName: {{ .Values.serviceAccountName }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "baseline.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end }}
