{#
    The hash contract, the same as services/chassis/hashing.py:

    SHA-256, in lower-case hex, of the UTF-8 bytes of the parts joined by U+001F. A part is `=` and its text, a NULL is
    `~`: so NULL differs from the empty text and from every other. Text is hashed as it is, never normalised: the same
    name composed (NFC) and decomposed (NFD) has two hashes, each of them the same on every engine.
#}
{% macro hash_of(parts) -%}{{ return(adapter.dispatch('hash_of')(parts)) }}{%- endmacro %}

{% macro default__hash_of(parts) -%}
    encode(sha256(convert_to(
        {%- for part in parts %}coalesce('=' || cast({{ part }} as text), '~'){{ " || chr(31) || " if not loop.last }}{% endfor -%}
    , 'UTF8')), 'hex')
{%- endmacro %}

{# NVARCHAR would be hashed as UTF-16: it becomes varchar in a collation of UTF-8 first. #}
{% macro sqlserver__hash_of(parts) -%}
    lower(convert(char(64), hashbytes('SHA2_256', convert(varchar(max), (
        {%- for part in parts %}coalesce(N'=' + cast({{ part }} as nvarchar(max)), N'~'){{ " + nchar(31) + " if not loop.last }}{% endfor -%}
    ) collate Latin1_General_100_BIN2_UTF8)), 2))
{%- endmacro %}

{# The hash key of the ghost record: what a key that is NULL, or that nobody has seen, refers to. #}
{% macro ghost_key() -%}'{{ '0' * 64 }}'{%- endmacro %}

{# The hash key of a reference that may be empty. #}
{% macro hash_of_optional(part) -%}
    case when {{ part }} is null then {{ ghost_key() }} else {{ hash_of([part]) }} end
{%- endmacro %}
