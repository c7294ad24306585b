{#
    A member's text as its type, exactly, or not at all.

    A cast alone cuts text, rounds numbers and drops times without a word, and where it fails it ends the whole statement and prints the
    value, which may be personal. So the text is checked first (`fits`), and only a row of which everything fits is cast. What
    does not fit sets its row aside: macros/set_aside.sql.
#}

{# The type of a column of `ods`, by what typed_changes() calls it. #}
{% macro column_type(type) -%}
    {%- set size = type.split('(')[1][:-1] | int if '(' in type else none -%}
    {%- set types = {
        'uuid': 'varchar(36)', 'code': 'varchar(' ~ size ~ ')', 'hex': 'varchar(' ~ size ~ ')', 'text': text_type(size), 'json': text_type(),
        'integer': 'integer', 'bigint': 'bigint', 'money': 'numeric(19, 4)', 'rate': 'numeric(9, 6)', 'date': 'date',
        'timestamp': timestamp_type(), 'flag': 'integer',
    } -%}
    {{ return(types[type.split('(')[0]]) }}
{%- endmacro %}

{# A text that fits, as its type. #}
{% macro cast_member(text, type) -%}
    {%- if type == 'flag' -%}
        case {{ text }} when 'true' then 1 when '1' then 1 else 0 end
    {%- else -%}
        {{ cast_safely(text, column_type(type)) }}
    {%- endif -%}
{%- endmacro %}

{# SQL Server may compute an expression before the condition that guards it. #}
{% macro cast_safely(text, type) -%}{{ return(adapter.dispatch('cast_safely')(text, type)) }}{%- endmacro %}
{% macro default__cast_safely(text, type) -%}cast({{ text }} as {{ type }}){%- endmacro %}
{% macro sqlserver__cast_safely(text, type) -%}try_cast({{ text }} as {{ type }}){%- endmacro %}

{# Whether a landed column holds a JSON object or array that can be read: one with half a surrogate pair or a NUL in it cannot. #}
{% macro is_json(text, begins='{') -%}{{ return(adapter.dispatch('is_json')(text, begins)) }}{%- endmacro %}
{% macro default__is_json(text, begins) -%}
    {#- LTRIM copies the text, which most need not be. -#}
    ({{ text }} like '{{ begins }}%' or left(ltrim({{ text }}), 1) = '{{ begins }}') and {{ is_valid_json(text) }}
{%- endmacro %}
{% macro sqlserver__is_json(text, begins) -%}left(ltrim({{ text }}), 1) = '{{ begins }}' and {{ is_valid_json(text) }}{%- endmacro %}

{# PostgreSQL's json takes escapes that it cannot read afterwards; jsonb refuses them, and takes longer. #}
{% macro is_valid_json(text) -%}{{ return(adapter.dispatch('is_valid_json')(text)) }}{%- endmacro %}
{% macro default__is_valid_json(text) -%}
    case when strpos({{ text }}, '\u') = 0 then pg_input_is_valid({{ text }}, 'json') else pg_input_is_valid({{ text }}, 'jsonb') end
{%- endmacro %}
{% macro sqlserver__is_valid_json(text) -%}isjson({{ text }}) = 1{%- endmacro %}

{# The years that a day or an instant may be of: others are mistakes in writing, and calendars would grow to reach them. #}
{% macro first_year() -%}1800{%- endmacro %}
{% macro last_year() -%}2199{%- endmacro %}

{# Whether a text that is not NULL is, as `type`, exactly what it says. #}
{% macro fits(text, type) -%}
    {%- set kind = type.split('(')[0] -%}
    {%- set size = type.split('(')[1][:-1] | int if '(' in type else 36 -%}
    {{ return(adapter.dispatch('fits_kind')(text, kind, column_type(type), size, 4 if kind == 'money' else 6)) }}
{%- endmacro %}

{# What a text must be, for people. #}
{% macro said_type(type) -%}
    {%- set said = {'flag': 'true or false', 'json': 'JSON', 'uuid': 'an identifier of 36 characters'} -%}
    {%- set said = dict(said, date='a date of ' ~ first_year() ~ ' to ' ~ last_year(), timestamp='an instant of ' ~ first_year() ~ ' to ' ~ last_year() ~ ' in UTC') -%}
    {{ return(said.get(type, column_type(type))) }}
{%- endmacro %}

{% macro default__fits_kind(text, kind, type, size, scale) -%}
    {%- if kind == 'flag' -%}
        {{ text }} in ('true', 'false', '1', '0')
    {%- elif kind == 'uuid' -%}
        length({{ text }}) = 36
    {%- elif kind in ('code', 'hex', 'text') -%}
        length({{ text }}) <= {{ size }}
    {%- elif kind == 'json' -%}
        {#- Deeper than its stack PostgreSQL ends the statement; no document of the lake has a thousand parts. -#}
        case when length({{ text }}) - length(translate({{ text }}, '[{', '')) <= 1000 then {{ is_valid_json(text) }} else false end
    {%- elif kind in ('money', 'rate') -%}
        case when pg_input_is_valid({{ text }}, '{{ type }}') then coalesce(min_scale(cast({{ text }} as numeric)), 99) <= {{ scale }} else false end
    {%- elif kind == 'date' -%}
        {{ text }} like '____-__-__' and left({{ text }}, 4) between '{{ first_year() }}' and '{{ last_year() }}' and pg_input_is_valid({{ text }}, 'date')
    {%- elif kind == 'timestamp' -%}
        {{ text }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6}0*)?$' and left({{ text }}, 4) between '{{ first_year() }}' and '{{ last_year() }}' and pg_input_is_valid({{ text }}, 'timestamp')
    {%- else -%}
        pg_input_is_valid({{ text }}, '{{ type }}')
    {%- endif -%}
{%- endmacro %}

{# LEN leaves blanks at the end out, DATALENGTH does not; a character of nvarchar has two bytes. The empty text would be 0. #}
{% macro sqlserver__fits_kind(text, kind, type, size, scale) -%}
    {%- set digits = '[0-9][0-9]' -%}
    {%- set day = digits ~ digits ~ '-' ~ digits ~ '-' ~ digits -%}
    {%- if kind == 'flag' -%}
        {{ text }} in ('true', 'false', '1', '0')
    {%- elif kind == 'text' -%}
        datalength({{ text }}) <= 2 * {{ size }}
    {%- elif kind == 'json' -%}
        {{ is_valid_json(text) }}
    {%- elif kind in ('uuid', 'code', 'hex') -%}
        datalength({{ text }}) {{ '=' if kind == 'uuid' else '<=' }} 2 * {{ size }} and cast(cast({{ text }} as {{ type }}) as nvarchar(max)) = {{ text }} collate Latin1_General_100_BIN2
    {%- elif kind in ('money', 'rate') -%}
        {{ text }} like '%[0-9]%' and datalength({{ text }}) <= 44 and try_cast({{ text }} as {{ type }}) = try_cast({{ text }} as numeric(38, 20))
    {%- elif kind == 'date' -%}
        {{ text }} like '{{ day }}' and datalength({{ text }}) = 20 and left({{ text }}, 4) between '{{ first_year() }}' and '{{ last_year() }}' and try_cast({{ text }} as date) is not null
    {%- elif kind == 'timestamp' -%}
        {{ text }} like '{{ day }}[T ]{{ digits }}:{{ digits }}:{{ digits }}%' and substring({{ text }}, 20, 100) not like '%[^.0-9]%' and left({{ text }}, 4) between '{{ first_year() }}' and '{{ last_year() }}' and try_cast({{ text }} as {{ type }}) = try_cast({{ text }} as datetime2(7))
    {%- else -%}
        {{ text }} like '%[0-9]%' and try_cast({{ text }} as {{ type }}) is not null
    {%- endif -%}
{%- endmacro %}
