{#
    Schema build: what builds note about themselves. Its tables are build.watermark (macros/watermarks.sql), build.model_state (macros/states.sql),
    build.partition_version and build.partition_read (macros/partitions.sql), build.run (macros/runs.sql), and for each model of the strategy `renew` the keys of a run (macros/renew.sql).
    Nothing that a report reads lies there.

    These tables were once in schema ods. create_build_schema() moves those that are still there, with their
    rows: a warehouse that is upgraded goes on where it was, and nothing is read or built again.
#}
{% macro create_build_schema() %}
    {%- if execute %}
    {{ create_schema_if_missing('build') }}
    {%- for table in tables_from_ods() %}
    {{ move_from_ods(table.old, table.new, table.columns) }}
    {%- endfor %}
    {%- endif %}
{% endmacro %}

{# What schema ods had: the old and the new name of each table, and columns that have another name now. #}
{% macro tables_from_ods() -%}
    {%- set found = [
        {'old': 'watermark', 'new': 'watermark', 'columns': {}},
        {'old': 'model_state', 'new': 'model_state', 'columns': {}},
        {'old': 'part', 'new': 'partition_version', 'columns': {}},
        {'old': 'part_read', 'new': 'partition_read', 'columns': {'part_kind': 'partition_kind', 'part_day': 'partition_day'}},
    ] -%}
    {%- for node in renewed_models() -%}
        {%- set name = affected_name(node.name, node.config.meta) -%}
        {%- do found.append({'old': name, 'new': name, 'columns': {}}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The models of the strategy `renew`. #}
{% macro renewed_models() -%}
    {{ return(nodes_of_type('model') | selectattr('config.incremental_strategy', 'equalto', 'renew') | list) }}
{%- endmacro %}

{% macro move_from_ods(old, new, columns) %}{{ return(adapter.dispatch('move_from_ods')(old, new, columns)) }}{% endmacro %}
{% macro default__move_from_ods(old, new, columns) %}
    do $$
    begin
        if to_regclass('ods.{{ old }}') is not null and to_regclass('build.{{ new }}') is null then
            alter table ods.{{ old }} set schema build;
            {%- if new != old %}
            alter table build.{{ old }} rename constraint pk_{{ old }} to pk_{{ new }};
            alter table build.{{ old }} rename to {{ new }};
            {%- endif %}
            {%- for column, renamed in columns.items() %}
            alter table build.{{ new }} rename column {{ column }} to {{ renamed }};
            {%- endfor %}
        end if;
    end $$;
{%- endmacro %}
{% macro sqlserver__move_from_ods(old, new, columns) %}
    if object_id('ods.{{ old }}') is not null and object_id('build.{{ new }}') is null
    begin
        alter schema build transfer ods.{{ old }};
        {%- if new != old %}
        exec sp_rename 'build.pk_{{ old }}', 'pk_{{ new }}', 'OBJECT';
        exec sp_rename 'build.{{ old }}', '{{ new }}', 'OBJECT';
        {%- endif %}
        {%- for column, renamed in columns.items() %}
        exec sp_rename 'build.{{ new }}.{{ column }}', '{{ renamed }}', 'COLUMN';
        {%- endfor %}
    end;
{%- endmacro %}

{# Asked first: on PostgreSQL `create schema if not exists` needs the right to create schemas, also where the schema is there. #}
{% macro create_schema_if_missing(name) %}{{ return(adapter.dispatch('create_schema_if_missing')(name)) }}{% endmacro %}
{% macro default__create_schema_if_missing(name) %}
    {%- if not adapter.check_schema_exists(target.database, name) %}
    create schema {{ name }};
    {%- endif %}
{%- endmacro %}
{% macro sqlserver__create_schema_if_missing(name) %}
    if schema_id('{{ name }}') is null exec('create schema {{ name }}');
{%- endmacro %}

{% macro create_work_table(name, columns) %}{{ return(adapter.dispatch('create_work_table')(name, columns)) }}{% endmacro %}
{% macro default__create_work_table(name, columns) %}
    create table if not exists {{ name }} ({{ columns }});
{%- endmacro %}
{% macro sqlserver__create_work_table(name, columns) %}
    if object_id('{{ name }}') is null create table {{ name }} ({{ columns }});
{%- endmacro %}
