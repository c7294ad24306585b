{#
    A member's text as its type, exactly, or an error that names table, column and position.

    A cast alone cuts text, rounds numbers and drops times without a word, and where it fails it prints the value, which may
    be personal. So the text is checked first, and only what fits is cast. What does not fit ends the statement: the rows and
    the watermark stay as they were. The message itself is cast to a number, which both engines refuse by printing it: neither
    can raise an error of one's own within a query.
#}
{% macro typed_member(table, alias, name, type) -%}
    {%- set text = alias ~ '.' ~ name -%}
    {%- if type == 'text' -%}
        cast({{ text }} as {{ text_type() }})
    {%- else -%}
        {%- set size = type.split('(')[1][:-1] | int if '(' in type else 36 -%}
        {%- set kind = type.split('(')[0] -%}
        {%- set types = {
            'uuid': 'varchar(36)', 'code': 'varchar(' ~ size ~ ')', 'hex': 'varchar(' ~ size ~ ')',
            'text': text_type(size), 'integer': 'integer', 'bigint': 'bigint', 'money': 'numeric(19, 4)',
            'rate': 'numeric(9, 6)', 'date': 'date', 'timestamp': timestamp_type(), 'flag': 'integer',
        } -%}
        {%- set scale = 4 if kind == 'money' else 6 -%}
        case
            when {{ text }} is null then null
            when {{ fits(text, kind, types[kind], size, scale) }}
                then {{ 'case ' ~ text ~ " when 'true' then 1 when '1' then 1 else 0 end" if kind == 'flag' else 'cast(' ~ text ~ ' as ' ~ types[kind] ~ ')' }}
            else {{ end_with(table, alias, name, types[kind] if kind != 'flag' else 'true or false', types[kind]) }}
        end
    {%- endif -%}
{%- endmacro %}

{# An expression of a type that ends the statement, saying what of a change is not as it must be. #}
{% macro end_with(table, alias, name, expected, type) -%}
            cast(cast(cast(concat(
                'dl.{{ table }}: {{ name }} of the change at position ', {{ alias }}.position_major, '.', {{ alias }}.position_minor,
                ' does not fit {{ expected }}; see docs/runbooks/load-failed.md'
            ) as integer) as varchar(11)) as {{ type }})
{%- endmacro %}

{# A landed column that is to be JSON, as it is, or an error: reading it where it is none would print what it holds. #}
{% macro landed_json(table, alias, name) -%}
        case
            when {{ alias }}.{{ name }} is null or {{ is_json(alias ~ '.' ~ name) }} then {{ alias }}.{{ name }}
            else {{ end_with(table, alias, name, 'JSON', text_type()) }}
        end
{%- endmacro %}

{% macro is_json(text) -%}{{ return(adapter.dispatch('is_json')(text)) }}{%- endmacro %}
{% macro default__is_json(text) -%}pg_input_is_valid({{ text }}, 'json'){%- endmacro %}
{% macro sqlserver__is_json(text) -%}isjson({{ text }}) = 1{%- endmacro %}

{# Whether a text that is not NULL is, as `type`, exactly what it says. #}
{% macro fits(text, kind, type, size, scale) -%}{{ return(adapter.dispatch('fits')(text, kind, type, size, scale)) }}{%- endmacro %}

{% macro default__fits(text, kind, type, size, scale) -%}
    {%- if kind == 'flag' -%}
        {{ text }} in ('true', 'false', '1', '0')
    {%- elif kind in ('uuid', 'code', 'hex', 'text') -%}
        length({{ text }}) <= {{ size }}
    {%- elif kind in ('money', 'rate') -%}
        case when pg_input_is_valid({{ text }}, '{{ type }}') then min_scale(cast({{ text }} as numeric)) <= {{ scale }} else false end
    {%- elif kind == 'date' -%}
        {{ text }} like '____-__-__' and pg_input_is_valid({{ text }}, 'date')
    {%- elif kind == 'timestamp' -%}
        {{ text }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6}0*)?$' and pg_input_is_valid({{ text }}, 'timestamp')
    {%- else -%}
        pg_input_is_valid({{ text }}, '{{ type }}')
    {%- endif -%}
{%- endmacro %}

{# LEN leaves blanks at the end out, DATALENGTH does not; a character of nvarchar has two bytes. The empty text would be 0. #}
{% macro sqlserver__fits(text, kind, type, size, scale) -%}
    {%- set digits = '[0-9][0-9]' -%}
    {%- set day = digits ~ digits ~ '-' ~ digits ~ '-' ~ digits -%}
    {%- if kind == 'flag' -%}
        {{ text }} in ('true', 'false', '1', '0')
    {%- elif kind == 'text' -%}
        datalength({{ text }}) <= 2 * {{ size }}
    {%- elif kind in ('uuid', 'code', 'hex') -%}
        datalength({{ text }}) <= 2 * {{ size }} and cast(cast({{ text }} as {{ type }}) as nvarchar(max)) = {{ text }} collate Latin1_General_100_BIN2
    {%- elif kind in ('money', 'rate') -%}
        {{ text }} like '%[0-9]%' and datalength({{ text }}) <= 44 and try_cast({{ text }} as {{ type }}) = try_cast({{ text }} as numeric(38, 20))
    {%- elif kind == 'date' -%}
        {{ text }} like '{{ day }}' and datalength({{ text }}) = 20 and try_cast({{ text }} as date) is not null
    {%- elif kind == 'timestamp' -%}
        {{ text }} like '{{ day }}[T ]{{ digits }}:{{ digits }}:{{ digits }}%' and substring({{ text }}, 20, 100) not like '%[^.0-9]%' and try_cast({{ text }} as {{ type }}) = try_cast({{ text }} as datetime2(7))
    {%- else -%}
        {{ text }} like '%[0-9]%' and try_cast({{ text }} as {{ type }}) is not null
    {%- endif -%}
{%- endmacro %}
