{{ config(
    incremental_strategy='renew',
    unique_key=['application_hk', 'version'],
    meta={'affected_key': 'application_hk'},
    pre_hook="{{ note_affected(affected_applications()) }}",
    indexes=[{'columns': ['application_hk', 'version'], 'unique': true}],
) }}

{{ with_affected('application_hk') }}
sat_application_version as {{ rows_of(ref('sat_application_version')) }},
link_application_version as {{ rows_of(ref('link_application_version')) }},
sat_application_party as {{ rows_of(ref('sat_application_party')) }},
link_application_party as {{ rows_of(ref('link_application_party')) }},
sat_party as {{ rows_of(ref('sat_party')) }},
sat_product as {{ rows_of(ref('sat_product')) }},
parameters_in_force as {{ rows_of(ref('parameters_in_force')) }},

versions as (
    select s.application_version_hk, l.application_hk, l.product_hk, l.version, s.submitted_at, s.position_major, s.position_minor
    from ({{ current_of('sat_application_version', 'application_version', only_affected('application_version', 'link_application_version', 'application_hk')) }}) as s
    inner join link_application_version as l on l.link_hk = s.link_hk
),

borrowers as (
    select l.application_hk, min(l.party_hk) as party_hk
    from ({{ current_of('sat_application_party', 'application_party', only_affected('application_party', 'link_application_party', 'application_hk')) }}) as s
    inner join link_application_party as l on l.link_hk = s.link_hk
    where l.role = 'borrower'
    group by l.application_hk
),

parties as (
    {{ history_of('sat_party', 'party', 's.party_hk in (select b.party_hk from borrowers as b)') }}
),

products as (
    {{ history_of('sat_product', 'product') }}
),

final as (
    select
        v.application_hk,
        v.version,
        v.application_version_hk,
        v.position_major as version_position_major,
        v.position_minor as version_position_minor,
        v.product_hk,
        coalesce(p.position_major, 0) as product_position_major,
        coalesce(p.position_minor, 0) as product_position_minor,
        coalesce(f.product_parameters_hk, {{ ghost_key() }}) as product_parameters_hk,
        coalesce(f.position_major, 0) as parameters_position_major,
        coalesce(f.position_minor, 0) as parameters_position_minor,
        case when q.party_hk is null then {{ ghost_key() }} else b.party_hk end as party_hk,
        coalesce(q.position_major, 0) as party_position_major,
        coalesce(q.position_minor, 0) as party_position_minor
    from versions as v
    left join borrowers as b on b.application_hk = v.application_hk
    left join products as p
        on p.product_hk = v.product_hk and p.valid_from <= v.submitted_at and p.valid_to > v.submitted_at
    left join parameters_in_force as f
        on f.product_hk = v.product_hk
        and f.valid_from <= {{ business_date('v.submitted_at') }}
        and f.valid_to > {{ business_date('v.submitted_at') }}
    left join parties as q
        on q.party_hk = b.party_hk and q.valid_from <= v.submitted_at and q.valid_to > v.submitted_at
)

select * from final
